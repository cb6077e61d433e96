// What `server` in a policy says of images.
#pragma once
#include <string_view>

namespace callgate {

// `wanted`: as a policy writes it; without tag and digest it is any. `full_name`: full_image_name(), "" where it is not known.
//   image_matches("registry.example/acme/mcp", "registry.example/acme/mcp:1.4")  ->  true
bool image_matches(std::string_view wanted, std::string_view full_name);

}  // namespace callgate
