// The address of a webhook, as a policy or callgate.json gives it.
#pragma once
#include <string>
#include <string_view>

namespace callgate {

// What is wrong with it; "" where nothing is. Only this host is told without TLS.
std::string webhook_url_problem(std::string_view url);

}  // namespace callgate
