#include "fetch/curl_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <optional>

namespace callgate {
namespace {

constexpr char kLibrary[] = "libcurl.so.4";
constexpr unsigned kVersionMin = 0x075500;  // 7.85: CURLOPT_PROTOCOLS_STR

// Of what failed last in this thread.
std::string loader_problem() {
    const char* problem = dlerror();
    return problem ? problem : "unknown";
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

Result<CurlLibrary> load_now() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (!library) return Error::refused(kLibrary, "cannot be loaded: " + loader_problem());
    CurlLibrary curl;
    const bool has_all =
        find(library, "curl_global_init", curl.global_init) && find(library, "curl_version_info", curl.version_info) &&
        find(library, "curl_free", curl.free) && find(library, "curl_slist_append", curl.slist_append) &&
        find(library, "curl_slist_free_all", curl.slist_free_all) && find(library, "curl_easy_init", curl.easy_init) &&
        find(library, "curl_easy_cleanup", curl.easy_cleanup) && find(library, "curl_easy_reset", curl.easy_reset) &&
        find(library, "curl_easy_setopt", curl.easy_setopt) && find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
        find(library, "curl_easy_perform", curl.easy_perform) && find(library, "curl_easy_strerror", curl.easy_strerror) &&
        find(library, "curl_url", curl.url) && find(library, "curl_url_cleanup", curl.url_cleanup) &&
        find(library, "curl_url_get", curl.url_get) && find(library, "curl_url_set", curl.url_set);
    if (!has_all) return Error::refused(kLibrary, "cannot be used: " + loader_problem());
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(curl.version_info), &info) != 0 && info.dli_fname) curl.file = info.dli_fname;
    const curl_version_info_data& version = *curl.version_info(CURLVERSION_NOW);
    if (version.version_num < kVersionMin) {
        return Error::refused(kLibrary, std::string("is version ") + version.version + ", 7.85 or newer is needed");
    }
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Error::refused(kLibrary, "cannot be initialised");
    return curl;
}

}  // namespace

Result<const CurlLibrary*> CurlLibrary::load() {
    static std::mutex mutex;
    static std::optional<CurlLibrary> loaded;
    const std::lock_guard lock(mutex);
    if (!loaded) loaded = TRY(load_now());
    return &*loaded;
}

Status CurlLibrary::check() {
    const CurlLibrary& curl = *TRY(load());
    if (::access(curl.file.c_str(), R_OK) != 0) return Error::system("open", curl.file, errno);
    return {};
}

}  // namespace callgate
