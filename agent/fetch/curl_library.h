// CurlLibrary: libcurl, loaded where something is fetched or told first. It brings thirty libraries, 5 MiB of
// memory, which an agent that tells nobody and a command that asks nobody do not need.
//
//   const CurlLibrary& curl = *TRY(CurlLibrary::load());
//   curl.easy_setopt(handle, CURLOPT_URL, "https://example.org/hook");
#pragma once
#include <curl/curl.h>

#include <string>

#include "base/result.h"

namespace callgate {

struct CurlLibrary {
    // Loads and initialises it once, for good; from any thread. Where it could not be loaded, the next call tries again.
    static Result<const CurlLibrary*> load();
    // Whether a process that starts now could load it: that, and the file is still there.
    static Status check();

    std::string file;  // which it was loaded from
    decltype(&::curl_global_init) global_init = nullptr;
    decltype(&::curl_version_info) version_info = nullptr;
    decltype(&::curl_free) free = nullptr;
    decltype(&::curl_slist_append) slist_append = nullptr;
    decltype(&::curl_slist_free_all) slist_free_all = nullptr;
    decltype(&::curl_easy_init) easy_init = nullptr;
    decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
    decltype(&::curl_easy_reset) easy_reset = nullptr;
    decltype(&::curl_easy_setopt) easy_setopt = nullptr;
    decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
    decltype(&::curl_easy_perform) easy_perform = nullptr;
    decltype(&::curl_easy_strerror) easy_strerror = nullptr;
    decltype(&::curl_url) url = nullptr;
    decltype(&::curl_url_cleanup) url_cleanup = nullptr;
    decltype(&::curl_url_get) url_get = nullptr;
    decltype(&::curl_url_set) url_set = nullptr;
};

}  // namespace callgate
