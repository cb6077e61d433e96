// What a webhook of callgate.json needs to begin.
#pragma once
#include <string>

#include "base/result.h"
#include "lifecycle/config.h"

namespace callgate {

// The file of its secret: the one that is named, or one of its own, which is made where it is absent.
Result<std::string> read_secret_of_webhook(const Config& config);
// What comes of that, and of loading libcurl, with things as they are; nothing is made. Good where there is no webhook.
Status check_webhook(const Config& config);

}  // namespace callgate
