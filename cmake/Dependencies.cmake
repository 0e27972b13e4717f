# Every library that Retort stands on; docs/decisions says why each was chosen.
find_package(Threads REQUIRED)
# oneDNN >= 2.6; without it the program uses its own kernels. Its own CMake file on Debian 12 insists on OpenCL's headers,
# which only its GPU half needs.
find_path(RETORT_DNNL_INCLUDE dnnl.h)
find_library(RETORT_DNNL_LIBRARY dnnl)
if(RETORT_DNNL_INCLUDE AND RETORT_DNNL_LIBRARY)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES
    IMPORTED_LOCATION ${RETORT_DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${RETORT_DNNL_INCLUDE})
endif()
find_package(Eigen3 REQUIRED CONFIG)
find_package(fmt REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(SQLiteCpp REQUIRED CONFIG)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(PkgConfig REQUIRED)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)

if(RETORT_WINDOW)
  find_package(Qt6 6.4 REQUIRED COMPONENTS Widgets Concurrent Svg PrintSupport)
  find_package(QCustomPlotQt6 REQUIRED CONFIG)
endif()
if(RETORT_TESTS)
  find_package(Qt6 6.4 REQUIRED COMPONENTS Core Test)
endif()
