/** Tiles of a matrix product in registers: machine code for AVX2 and AVX-512, or the Vector API. */
package io.millrace.model.cpu.tiles;
