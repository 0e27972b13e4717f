// Folders whose files are counted together.
#pragma once

#include <cstdint>
#include <filesystem>

namespace retort {

// Bytes of the files in it, not of folders inside; 0 where it can't be read.
std::uint64_t folder_bytes(const std::filesystem::path& folder);

// Deletes the files of a folder that were used longest ago until `room` bytes fit into `most` beside the others; `kept`,
// which they are to replace, stays.
void make_room_in(const std::filesystem::path& folder, const std::filesystem::path& kept, std::uint64_t room, std::uint64_t most);

}  // namespace retort
