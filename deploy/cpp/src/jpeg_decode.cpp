#include "jpeg_decode.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>  // which jpeglib.h needs

#include <jpeglib.h>

namespace ppcls {
namespace {

// libjpeg leaves a fault by a jump: no object with a destructor may live between `setjmp` and there.
struct Decoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  std::jmp_buf fault;
};

void Leave(j_common_ptr info) { std::longjmp(static_cast<Decoder*>(info->client_data)->fault, 1); }

void SayNothing(j_common_ptr) {}

bool Prepare(const std::vector<std::uint8_t>& data, Decoder* decoder) {
  decoder->info.err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = Leave;
  decoder->errors.output_message = SayNothing;
  decoder->info.client_data = decoder;
  if (setjmp(decoder->fault)) return false;
  jpeg_create_decompress(&decoder->info);
  jpeg_mem_src(&decoder->info, data.data(), static_cast<unsigned long>(data.size()));
  jpeg_read_header(&decoder->info, TRUE);
  const bool has_tables = decoder->info.ac_huff_tbl_ptrs[0] != nullptr || decoder->info.arith_code;
  const int components = decoder->info.num_components;
  decoder->info.out_color_space = JCS_RGB;
  return has_tables && (components == 1 || components == 3);
}

bool ReadRows(Decoder* decoder, Image* image) {
  if (setjmp(decoder->fault)) return false;
  jpeg_start_decompress(&decoder->info);
  if (decoder->info.output_components != kChannels) return false;
  while (decoder->info.output_scanline < decoder->info.output_height) {
    JSAMPROW row = image->row(static_cast<int>(decoder->info.output_scanline));
    if (jpeg_read_scanlines(&decoder->info, &row, 1) != 1) return false;
  }
  return true;
}

}  // namespace

std::optional<Image> DecodePlainJpeg(const std::vector<std::uint8_t>& data) {
  constexpr std::size_t kMostPixels = std::size_t{1} << 30;  // of OpenCV
  Decoder decoder{};
  std::optional<Image> image;
  if (Prepare(data, &decoder) &&
      std::size_t{decoder.info.image_width} * std::size_t{decoder.info.image_height} <= kMostPixels) {
    image.emplace(static_cast<int>(decoder.info.image_width), static_cast<int>(decoder.info.image_height));
    if (!ReadRows(&decoder, &*image)) image.reset();
  }
  jpeg_destroy_decompress(&decoder.info);
  return image;
}

}  // namespace ppcls
