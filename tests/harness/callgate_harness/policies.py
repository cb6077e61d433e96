"""Policies of the hosted dialect, as dictionaries."""


def policy(match, *, default="allow", tools=None, denied=None, limited=None, maximum=2, window="day", scope="grant",
           hide=(), **more):
    """A policy of the hosted dialect: one tool denied for approval, one limited. A day's window has no boundary nearby."""
    document = {"version": "1", "server": match, "default": default, "hide": list(hide), "tools": dict(tools or {}), **more}
    if denied:
        document["tools"][denied] = {"deny_if": [{"conditions": [], "on_deny": "Requires human approval."}]}
    if limited:
        limit = {"counter": f"{limited}_rate", "window": window, "max": maximum, "scope": scope}
        document["tools"][limited] = {"limits": [limit]}
    return document


def policy_for(server, **more):
    """`server`'s own example: its denied tool denied, its limited tool allowed twice a day."""
    return policy(server.match, denied=server.denied[0], limited=server.limited[0], **more)
