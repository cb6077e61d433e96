"""MCP at /mcp by Starlette and uvicorn, as servers of the Python SDK have it: the paths that lead there are those of its router.
Answers every call with "executed". usage: server.py PORT"""
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def messages(request):
    message = await request.json()
    result = {"content": [{"type": "text", "text": "executed"}]}
    return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})


uvicorn.run(Starlette(routes=[Route("/mcp", messages, methods=["POST"])]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
