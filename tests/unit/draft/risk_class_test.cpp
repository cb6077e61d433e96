#include "draft/risk_class.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

ListedTool tool(std::string name, std::string description = "", std::vector<std::string> parameters = {}) {
    ListedTool made;
    made.name = std::move(name);
    made.description = std::move(description);
    for (std::string& parameter : parameters) made.parameters.push_back({std::move(parameter), false, {}});
    return made;
}

std::string_view risk_of(const ListedTool& listed) { return name(classify(listed).risk); }

// Tools as well-known servers list them.
TEST(RiskClass, PublishedTools) {
    struct Published {
        const char *name, *description, *risk;
        std::vector<std::string> parameters;
    };
    const Published published[] = {
        {"read_text_file", "Read the complete contents of a file from the file system as text.", "read", {"path"}},
        {"write_file",
         "Create a new file or completely overwrite an existing file with new content.",
         "write",
         {"path", "content"}},
        {"edit_file", "Make line-based edits to a text file.", "write", {"path", "edits", "dryRun"}},
        {"list_directory", "Get a detailed listing of all files and directories in a specified path.", "read", {"path"}},
        {"directory_tree", "Get a recursive tree view of files and directories as a JSON structure.", "read", {"path"}},
        {"move_file", "Move or rename files and directories.", "write", {"source", "destination"}},
        {"search_files", "Recursively search for files and directories matching a pattern.", "read", {"path", "pattern"}},
        {"create_entities", "Create multiple new entities in the knowledge graph", "write", {"entities"}},
        {"delete_entities",
         "Delete multiple entities and their associated relations from the knowledge graph",
         "destructive",
         {}},
        {"open_nodes", "Open specific nodes in the knowledge graph by their names", "write", {"names"}},
        {"get_file_contents", "Get the contents of a file or directory", "read", {"owner", "repo"}},
        {"push_files", "Push multiple files to a repository in a single commit", "write", {}},
        {"fork_repository", "Fork a repository to your account", "write", {}},
        {"merge_pull_request", "Merge a pull request", "write", {}},
        {"delete_file", "Delete a file from a repository", "destructive", {}},
        {"run_workflow", "Trigger a workflow run", "execute", {}},
        {"get_workflow_run", "Get details of a specific workflow run", "read", {}},
        {"list_pull_requests", "List pull requests in a repository", "read", {}},
        {"add_issue_comment", "Add a comment to an issue", "write", {}},
        {"query", "Run a read-only SQL query", "execute", {"sql"}},
        {"execute_sql", "Executes raw SQL in the database.", "execute", {"query"}},
        {"drop_table", "", "destructive", {}},
        {"slack_post_message", "Post a new message to a Slack channel", "write", {}},
        {"slack_get_channel_history", "Get recent messages from a channel", "read", {}},
        {"create_refund", "Refund a payment intent", "financial", {}},
        {"list_invoices", "This tool will fetch a list of invoices", "read", {"customer"}},
        {"create_payment_link", "Create a payment link", "financial", {}},
        {"finalize_invoice", "Finalize a draft invoice", "financial", {}},
        {"transfer_funds", "", "financial", {"amount", "to"}},
        {"buyStock", "", "financial", {}},
        {"place_order", "Places a market order", "financial", {}},
        {"browser_click", "Perform click on a web page", "execute", {}},
        {"browser_navigate", "Navigate to a URL", "execute", {}},
        {"browser_take_screenshot", "Take a screenshot of the current page", "read", {}},
        {"browser_evaluate", "Evaluate JavaScript expression on page or element", "execute", {}},
        {"kubectl_delete", "Delete a resource", "destructive", {}},
        {"kubectl.scale", "", "execute", {}},
        {"shell-exec", "", "execute", {}},
        {"start_process", "", "execute", {"command"}},
        {"git_commit", "Records changes to the repository", "write", {}},
        {"git_reset", "Unstages all staged changes", "destructive", {}},
        {"sendEmail", "Sends an email", "write", {}},
        {"trash_email", "", "destructive", {}},
        {"get_current_time", "Get current time in a specific timezone", "read", {}},
        {"resolve-library-id", "Resolves a package name to a library id", "read", {}},
        {"sequentialthinking", "A detailed tool for dynamic and reflective problem-solving through thoughts.", "write", {}},
    };
    for (const Published& each : published) {
        const RiskFinding finding = classify(tool(each.name, each.description, each.parameters));
        EXPECT_EQ(name(finding.risk), each.risk) << each.name << ": " << finding.reason;
        EXPECT_FALSE(finding.reason.empty()) << each.name;
    }
}

TEST(RiskClass, ReasonsNameTheWord) {
    EXPECT_EQ(classify(tool("data_delete")).reason, "\"delete\" removes for good");
    EXPECT_EQ(classify(tool("frobnicate", "Deletes a thing.")).reason, "description: \"deletes\" removes for good");
    EXPECT_EQ(classify(tool("get_report", "", {"emit_nudges"})).reason, "parameter \"emit_nudges\" makes it send something");
    EXPECT_EQ(classify(tool("frobnicate")).reason, kNothingSaid);
}

TEST(RiskClass, TheWorstOfTheNameCounts) {
    EXPECT_EQ(risk_of(tool("get_or_create_user")), "write");
    EXPECT_EQ(risk_of(tool("read_and_delete")), "destructive");
    EXPECT_EQ(risk_of(tool("list_then_purge")), "destructive");
    EXPECT_EQ(risk_of(tool("find_replace")), "write");
    EXPECT_EQ(risk_of(tool("check_remove")), "destructive") << "strong words count anywhere";
    EXPECT_EQ(risk_of(tool("get_run")), "read") << "others only where no verb stands before them";
    EXPECT_EQ(risk_of(tool("drag_and_drop")), "write");
    EXPECT_EQ(risk_of(tool("LISTFILES")), "write") << "no word that is known";
}

TEST(RiskClass, MoneyNeedsMoreThanATopic) {
    EXPECT_EQ(risk_of(tool("get_wallet_status", "", {"wallet"})), "read");
    EXPECT_EQ(risk_of(tool("create_wallet")), "financial");
    EXPECT_EQ(risk_of(tool("start_rewards", "", {"wallet"})), "financial");
    EXPECT_EQ(risk_of(tool("frobnicate", "", {"iban"})), "financial");
    EXPECT_EQ(risk_of(tool("get_payment_and_refund")), "financial");
}

TEST(RiskClass, ReadingASecretIsNoRead) {
    EXPECT_EQ(risk_of(tool("get-env", "Returns all environment variables, helpful for debugging MCP server configuration")),
              "secret");
    for (const char* name : {"printEnv", "get_environment_variables", "list_secrets", "read_password", "get_api_key",
                             "showApiKeys", "cookies_get", "get_ssh_key", "vault_read", "exportCredentials"}) {
        EXPECT_EQ(risk_of(tool(name)), "secret") << name;
    }
    EXPECT_EQ(risk_of(tool("debug_info", "Returns all environment variables")), "secret");
    EXPECT_EQ(risk_of(tool("delete_secret")), "destructive");
    EXPECT_EQ(risk_of(tool("list_environments")), "read") << "where something is deployed";
    EXPECT_EQ(risk_of(tool("count_tokens")), "read");
    EXPECT_EQ(risk_of(tool("get_key")), "read");
}

TEST(RiskClass, DescriptionsMakeWorseAndNeverMilder) {
    EXPECT_EQ(risk_of(tool("tidy", "Removes everything older than a day.")), "destructive");
    EXPECT_EQ(risk_of(tool("tidy", "Returns the age of every file.")), "read");
    EXPECT_EQ(risk_of(tool("delete_note", "Returns a note. Reads only.")), "destructive");
    EXPECT_EQ(risk_of(tool("get_note", "Get a note. Deletes it afterwards.")), "destructive");
    EXPECT_EQ(risk_of(tool("get_note", "Get or delete a note.")), "destructive");
    EXPECT_EQ(risk_of(tool("get_note", "Reads a note. This cannot be undone.")), "destructive");
    EXPECT_EQ(risk_of(tool("get_note", "Reads a note. Does not permanently mark it.")), "read") << "denied";
    EXPECT_EQ(risk_of(tool("get_note", "Reads a note. Non-destructive.")), "read") << "denied";
    EXPECT_EQ(risk_of(tool("get_note", "Reads a note without deleting it.")), "read");
    EXPECT_EQ(risk_of(tool("get_note", "Get a note. Use delete_note to delete it.")), "read") << "another tool's";
    EXPECT_EQ(risk_of(tool("think_hard", "Use this tool to run arbitrary code.")), "execute");
}

TEST(RiskClass, AnnotationsNarrowAndNeverWiden) {
    ListedTool listed = tool("delete_note");
    listed.read_only = true;
    listed.destructive = false;
    EXPECT_EQ(risk_of(listed), "destructive");
    EXPECT_NE(classify(listed).reason.find("no proof"), std::string::npos);
    listed = tool("frobnicate");
    listed.read_only = true;
    EXPECT_EQ(risk_of(listed), "write") << "what nothing is known of stays a write";
    listed = tool("get_note");
    listed.read_only = false;
    EXPECT_EQ(risk_of(listed), "write");
    listed.destructive = true;
    EXPECT_EQ(risk_of(listed), "destructive");
    listed = tool("get_note");
    listed.read_only = true;
    EXPECT_EQ(classify(listed).reason, "\"get\" reads");
}

TEST(RiskClass, ArgumentsThatDecide) {
    ListedTool listed = tool("data_manage");
    listed.parameters = {{"action", true, {"list", "stats", "export", "prune"}}};
    RiskFinding finding = classify(listed);
    EXPECT_EQ(finding.risk, RiskClass::destructive);
    EXPECT_EQ(finding.reason, "\"action\" decides: list read; stats, export write; prune destructive");
    listed.parameters = {{"action", false, {}}};
    EXPECT_EQ(risk_of(listed), "destructive") << "between what it decides is not said";
    listed.parameters = {{"method", true, {"GET", "POST", "DELETE"}}};
    EXPECT_EQ(risk_of(listed), "destructive");
    listed = tool("notes");
    listed.parameters = {{"operation", true, {"list", "get"}}};
    EXPECT_EQ(risk_of(listed), "read");
    listed.parameters = {{"mode", true, {"fast", "full"}}};
    EXPECT_EQ(classify(listed).reason, kNothingSaid) << "such values decide nothing";
    listed = tool("search");
    listed.parameters = {{"mode", true, {"fast", "full"}}, {"action", false, {}}};
    EXPECT_EQ(risk_of(listed), "read");
}

}  // namespace
}  // namespace callgate
