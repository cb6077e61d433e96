#include "lifecycle/webhook_start.h"

#include "approval/webhook_secret.h"
#include "fetch/curl_library.h"

namespace callgate {
namespace {

struct Place {
    std::string path;
    bool make;  // where it is absent
};

Place place_of_secret(const Config& config) {
    if (config.webhook_secret_file.empty()) return {config.state_directory + "/webhook.secret", true};
    return {config.webhook_secret_file, false};
}

}  // namespace

Result<std::string> read_secret_of_webhook(const Config& config) {
    const Place place = place_of_secret(config);
    return read_webhook_secret(place.path, place.make);
}

Status check_webhook(const Config& config) {
    if (config.webhook_url.empty()) return {};
    TRY_VOID(CurlLibrary::check());
    const Place place = place_of_secret(config);
    return check_webhook_secret(place.path, place.make);
}

}  // namespace callgate
