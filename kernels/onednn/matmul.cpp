#include "kernels/onednn/matmul.h"

#ifdef RETORT_HAVE_ONEDNN
#include <dnnl.h>

#include "kernels/onednn/prepare_thread.h"

namespace retort::kernels::onednn {

void matmul(const MatmulTile& tile) {
  prepare_thread();
  dnnl_sgemm(tile.transpose_a ? 'T' : 'N', tile.transpose_b ? 'T' : 'N', tile.m, tile.n, tile.k, 1.0f, tile.a,
             tile.a_stride, tile.b, tile.b_stride, tile.accumulate ? 1.0f : 0.0f, tile.c, tile.c_stride);
}

}  // namespace retort::kernels::onednn

#else

namespace retort::kernels::onednn {

void matmul(const MatmulTile&) {}   // never chosen: why_no_f32() says why

}  // namespace retort::kernels::onednn

#endif
