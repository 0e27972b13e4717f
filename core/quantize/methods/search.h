// The searches behind the packed types: given the values of a block and a weight for each squared error, find the scale
// (and offset) whose rounded codes represent them best. They try the same candidates in the same order as ggml's, so
// that files come out byte for byte as llama-quantize writes them; each runs on eight blocks at once (lanes.h).
#pragma once

#include "core/quantize/methods/lanes.h"

namespace retort {

// x ≈ scale · l with l in [-range, range): l = clamp(nearest(inverse · x)). A block of zeros has scale = inverse = 0.
struct SymmetricFit {
  float scale[kLanes];
  float inverse[kLanes];   // not 1 / scale: the candidate that gave the codes
};

// x ≈ scale · l - minimum with l in [0, range], minimum >= 0: l = clamp(nearest(inverse · (x - base))).
struct AffineFit {
  float scale[kLanes];
  float minimum[kLanes];
  float inverse[kLanes], base[kLanes];   // what gave the codes; inverse 0 where a block is constant and all codes are 0
};

// Candidates of inverse are (range + first + step · k) / (max - min) for k = 0 … steps.
struct AffineSearch {
  int range;
  float first, step;
  int steps;
  bool absolute;           // weigh |error| instead of error²
};

// n is 16 or 32.
void search_symmetric(const LaneBlocks& blocks, int n, int range, SymmetricFit& fit);
void search_affine(const LaneBlocks& blocks, int n, const AffineSearch& search, AffineFit& fit);

// Symmetric codes for 16 values by coordinate descent on the error weighed with x² (blocks.w is ignored): starts from
// the largest magnitude at -range and moves one code at a time while that helps. codes[i][lane] is l + range, or 0 in
// a block of zeros; fit.inverse is 0 there and 1 elsewhere.
void descend_symmetric(const LaneBlocks& blocks, int range, SymmetricFit& fit, Lanes codes[16]);

// One block alone: codes l + range of n values (up to 32) for a range and weights; returns the scale.
float fit_signed_scales(const float* values, const float* weights, int n, int range, std::uint8_t* codes);
// Non-negative values, codes 0 … range (n up to 16), refined one code at a time; returns the scale.
float fit_positive_scales(const float* values, const float* weights, int n, int range, std::uint8_t* codes);

}  // namespace retort
