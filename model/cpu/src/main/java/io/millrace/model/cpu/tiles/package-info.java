/**
 * Tiles of matrix products, whose sums stay in registers: machine code for AVX2 and AVX-512, or the
 * Vector API.
 */
package io.millrace.model.cpu.tiles;
