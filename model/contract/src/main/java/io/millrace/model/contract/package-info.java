/**
 * Tests that every backend must pass. A backend's own tests extend {@link
 * io.millrace.model.contract.BackendContract}; the float64 {@link
 * io.millrace.model.contract.Reference} is the readable definition of each kernel.
 */
package io.millrace.model.contract;
