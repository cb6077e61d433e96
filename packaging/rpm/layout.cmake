# What is staged for a package, before it is made. zsh looks for completions in another directory on Fedora than on Debian.
if(CPACK_GENERATOR STREQUAL "RPM")
  set(zsh ${CPACK_TEMPORARY_DIRECTORY}/usr/share/zsh)
  file(RENAME ${zsh}/vendor-completions ${zsh}/site-functions)
endif()
