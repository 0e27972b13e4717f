# Flags that hold for every target: warnings, sanitizers, floating-point rules, the compiler cache.

# Dev keeps asserts and line numbers at nearly release speed, so tests on real models stay quick.
# project() has already cached an empty value for a build type that it doesn't know, hence FORCE.
foreach(language CXX C)
  if(NOT CMAKE_${language}_FLAGS_DEV)
    set(CMAKE_${language}_FLAGS_DEV "-O2 -g1" CACHE STRING "" FORCE)
  endif()
  # Not -O3: a clean build would take a fifth longer, and what is hot lies in kernels/, where -O3 stands by folder.
  set(CMAKE_${language}_FLAGS_RELEASE "-O2 -DNDEBUG")
endforeach()

find_program(RETORT_CCACHE ccache)
if(RETORT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without these, ccache passes over everything that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${RETORT_CCACHE})
endif()

# Warnings stop the build where they are known: later compilers have others, which must not take the tests from who has one.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  set(RETORT_WERROR OFF)
endif()

# What every target of ours compiles with.
add_library(retort_flags INTERFACE)
target_compile_options(retort_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  $<$<BOOL:${RETORT_WERROR}>:-Werror>
  # Same bytes on every machine: a fused multiply-add happens only where it is written.
  -ffp-contract=off)
target_include_directories(retort_flags INTERFACE ${CMAKE_SOURCE_DIR})

if(RETORT_SANITIZE)
  # -O1 compiles in two thirds of the time of -O2, and keeps stacks readable.
  # Null pointers and what lies beyond an object are the address sanitizer's as well; checked twice they cost a sixth of the build.
  add_compile_options(-O1 -fsanitize=${RETORT_SANITIZE} -fno-sanitize=null,object-size,vptr -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RETORT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 sees these in its own <regex> and <string> once the sanitizers' code stands between.
    add_compile_options(-Wno-maybe-uninitialized -Wno-restrict)
  endif()
endif()

if(RETORT_TIDY)
  find_program(RETORT_CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${RETORT_CLANG_TIDY} --quiet)
endif()

# For what waits for people and never loops over weights: compiles in three quarters of the time.
add_library(retort_unhurried INTERFACE)
target_compile_options(retort_unhurried INTERFACE -O1)

# Most of a file's compile time goes to the headers' templates, which files compiled as one share: twelve neighbours of one folder.
# Names in anonymous namespaces must then differ within a folder. Sources with flags of their own stay alone.
function(retort_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${RETORT_UNITY} UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  list(SORT sources)
  set(folder "")
  foreach(source ${sources})
    get_filename_component(source ${source} ABSOLUTE)
    get_filename_component(of ${source} DIRECTORY)
    if(NOT of STREQUAL folder)
      set(folder ${of})
      set(number 0)
    endif()
    math(EXPR group "${number} / 12")
    math(EXPR number "${number} + 1")
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${folder})
    string(REPLACE "/" "_" name ${name})
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${name}_${group})
  endforeach()
endfunction()
