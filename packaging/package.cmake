# What is installed where, and the packages: `cpack --config build/CPackConfig.cmake` makes callgate_VERSION_ARCH.deb and
# callgate-VERSION.ARCH.rpm in the current directory (-G DEB or -G RPM: only that one).
include(GNUInstallDirs)
find_program(GZIP gzip REQUIRED)
set(PACKAGING ${CMAKE_CURRENT_LIST_DIR})
set(PACKAGE_OUT ${CMAKE_BINARY_DIR}/packaging)
set(CALLGATE_PACKAGE_CONTACT "callgate maintainers <callgate@callgate.invalid>" CACHE STRING "maintainer's name and address in the packages")

# The one time that the packages know: the last commit's, or what SOURCE_DATE_EPOCH says.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(CALLGATE_EPOCH $ENV{SOURCE_DATE_EPOCH})
else()
  execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} log -1 --format=%ct OUTPUT_VARIABLE CALLGATE_EPOCH
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT CALLGATE_EPOCH)
  string(TIMESTAMP CALLGATE_EPOCH %s UTC)
endif()

# Pages and completions are made by the program itself, from what it parses its command line with.
set(before "$ENV{SOURCE_DATE_EPOCH}")
set(ENV{SOURCE_DATE_EPOCH} ${CALLGATE_EPOCH})
string(TIMESTAMP CALLGATE_DATE "%B %d, %Y" UTC)
set(ENV{SOURCE_DATE_EPOCH} "${before}")
string(REPLACE " 0" " " CALLGATE_DATE ${CALLGATE_DATE})
foreach(page callgate.json.5 callgate-policy.5)
  configure_file(${PACKAGING}/man/${page} ${PACKAGE_OUT}/man5/${page} @ONLY)
endforeach()
add_custom_command(OUTPUT ${PACKAGE_OUT}/pages.stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${PACKAGE_OUT}/pages
  COMMAND callgate pages ${PACKAGE_OUT}/pages --date ${CALLGATE_DATE}
  COMMAND ${GZIP} -9n -r ${PACKAGE_OUT}/pages/man
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${PACKAGE_OUT}/man5gz
  COMMAND ${CMAKE_COMMAND} -E copy_directory ${PACKAGE_OUT}/man5 ${PACKAGE_OUT}/man5gz
  COMMAND ${GZIP} -9n -r ${PACKAGE_OUT}/man5gz
  COMMAND ${CMAKE_COMMAND} -E touch ${PACKAGE_OUT}/pages.stamp
  DEPENDS callgate ${PACKAGE_OUT}/man5/callgate.json.5 ${PACKAGE_OUT}/man5/callgate-policy.5
  COMMENT "Man pages and completions" VERBATIM)
add_custom_target(pages ALL DEPENDS ${PACKAGE_OUT}/pages.stamp)

# What is in /etc stands where its readers look, whatever the prefix is.
install(TARGETS callgate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PACKAGING}/etc/callgate.json DESTINATION /etc/callgate)
install(DIRECTORY DESTINATION /etc/callgate/policies.d)
install(FILES ${PACKAGING}/etc/logrotate DESTINATION /etc/logrotate.d RENAME callgate)
install(FILES ${PACKAGING}/systemd/callgate.service ${PACKAGING}/systemd/callgate-guard.service DESTINATION lib/systemd/system)
install(FILES ${PACKAGING}/systemd/callgate.tmpfiles DESTINATION lib/tmpfiles.d RENAME callgate.conf)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/policies DESTINATION ${CMAKE_INSTALL_DATADIR}/callgate
  FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ FILES_MATCHING PATTERN "*.json")
install(FILES ${CMAKE_SOURCE_DIR}/policies/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME policies.md)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${PACKAGING}/deb/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PACKAGE_OUT}/pages/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(DIRECTORY ${PACKAGE_OUT}/man5gz/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${PACKAGE_OUT}/pages/completions/callgate.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME callgate)
install(FILES ${PACKAGE_OUT}/pages/completions/_callgate DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PACKAGE_OUT}/pages/completions/callgate.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
execute_process(COMMAND ${GZIP} -9nc ${PACKAGING}/deb/changelog OUTPUT_FILE ${PACKAGE_OUT}/changelog.Debian.gz)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PACKAGING}/deb/changelog)
install(FILES ${PACKAGE_OUT}/changelog.Debian.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB RPM)
set(CPACK_PACKAGE_NAME callgate)
set(CPACK_PACKAGE_VENDOR callgate)
set(CPACK_PACKAGE_CONTACT ${CALLGATE_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "governs the MCP traffic of this host")
set(CPACK_PACKAGE_DESCRIPTION "callgate is a host agent for MCP, the Model Context Protocol. It
finds the MCP servers that AI agents start on this host, puts itself
into their pipes and sockets while they run, judges every call against a
policy, answers denied calls itself, and writes an audit record of each.
No client and no server is configured for it.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${PACKAGE_OUT}/epoch.cmake)
file(WRITE ${PACKAGE_OUT}/epoch.cmake "set(ENV{SOURCE_DATE_EPOCH} ${CALLGATE_EPOCH})\n")
# Directories that cpack makes, and files that it copies, must not have the builder's umask.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# ---- .deb -------------------------------------------------------------------------------------------------------
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# libcurl: not linked, so not found by itself (agent/fetch/curl_library.h).
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~), libcurl4 (>= 7.85)")
# ca-certificates: webhooks of approvals are told over TLS.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "logrotate, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PACKAGING}/deb/conffiles ${PACKAGING}/deb/postinst ${PACKAGING}/deb/prerm ${PACKAGING}/deb/postrm)

# ---- .rpm -------------------------------------------------------------------------------------------------------
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_LICENSE "Apache-2.0")
set(CPACK_RPM_PACKAGE_AUTOREQPROV ON)
set(CPACK_RPM_PACKAGE_REQUIRES "libcurl.so.4()(64bit)")
set(CPACK_RPM_USER_FILELIST "%config(noreplace) /etc/callgate/callgate.json" "%config(noreplace) /etc/logrotate.d/callgate")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
  /etc/logrotate.d /usr/lib/systemd /usr/lib/systemd/system /usr/lib/tmpfiles.d /usr/share/bash-completion
  /usr/share/bash-completion/completions /usr/share/fish /usr/share/fish/vendor_completions.d /usr/share/zsh
  /usr/share/zsh/site-functions)
set(CPACK_PRE_BUILD_SCRIPTS ${PACKAGING}/rpm/layout.cmake)
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${PACKAGING}/rpm/post)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${PACKAGING}/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${PACKAGING}/rpm/postun)
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _buildhost localhost
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _build_id_links none")
include(CPack)
