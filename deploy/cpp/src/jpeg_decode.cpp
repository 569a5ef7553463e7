#include "jpeg_decode.h"

#include <algorithm>
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
  jpeg_source_mgr source;
  std::jmp_buf fault;
};

void Leave(j_common_ptr info) { std::longjmp(static_cast<Decoder*>(info->client_data)->fault, 1); }

void SayNothing(j_common_ptr) {}

void DoNothing(j_decompress_ptr) {}

// There is no more: libjpeg then returns early, where its own source would make up an end.
boolean Refuse(j_decompress_ptr) { return FALSE; }

void Skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  const std::size_t bytes = std::min(static_cast<std::size_t>(count), info->src->bytes_in_buffer);
  info->src->next_input_byte += bytes;
  info->src->bytes_in_buffer -= bytes;
}

JpegResult Prepare(const std::vector<std::uint8_t>& data, Decoder* decoder) {
  decoder->info.err = jpeg_std_error(&decoder->errors);
  decoder->errors.error_exit = Leave;
  decoder->errors.output_message = SayNothing;
  decoder->info.client_data = decoder;
  if (setjmp(decoder->fault)) return JpegResult::kRefused;
  jpeg_create_decompress(&decoder->info);
  decoder->source = {data.data(), data.size(), DoNothing, Refuse, Skip, jpeg_resync_to_restart, DoNothing};
  decoder->info.src = &decoder->source;
  if (jpeg_read_header(&decoder->info, TRUE) != JPEG_HEADER_OK) return JpegResult::kRefused;
  const bool has_tables = decoder->info.ac_huff_tbl_ptrs[0] != nullptr || decoder->info.arith_code;
  const int components = decoder->info.num_components;
  decoder->info.out_color_space = JCS_RGB;
  return has_tables && (components == 1 || components == 3) ? JpegResult::kDecoded : JpegResult::kUnusual;
}

JpegResult ReadRows(Decoder* decoder, Image* image) {
  if (setjmp(decoder->fault)) return JpegResult::kRefused;
  if (!jpeg_start_decompress(&decoder->info)) return JpegResult::kRefused;
  if (decoder->info.output_components != kChannels) return JpegResult::kUnusual;
  while (decoder->info.output_scanline < decoder->info.output_height) {
    JSAMPROW row = image->row(static_cast<int>(decoder->info.output_scanline));
    if (jpeg_read_scanlines(&decoder->info, &row, 1) != 1) return JpegResult::kRefused;
  }
  return JpegResult::kDecoded;
}

}  // namespace

JpegResult DecodePlainJpeg(const std::vector<std::uint8_t>& data, Image* image) {
  constexpr std::size_t kMostPixels = std::size_t{1} << 30;  // of OpenCV
  Decoder decoder{};
  JpegResult result = Prepare(data, &decoder);
  const std::size_t pixels = std::size_t{decoder.info.image_width} * std::size_t{decoder.info.image_height};
  if (result == JpegResult::kDecoded && pixels > kMostPixels) result = JpegResult::kRefused;
  if (result == JpegResult::kDecoded) {
    *image = Image(static_cast<int>(decoder.info.image_width), static_cast<int>(decoder.info.image_height));
    result = ReadRows(&decoder, image);
  }
  jpeg_destroy_decompress(&decoder.info);
  return result;
}

}  // namespace ppcls
