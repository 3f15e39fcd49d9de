/**
 * The tests that every backend must pass, and the float64 oracle behind them. A backend's own tests
 * extend {@link io.millrace.model.contract.BackendContract}. {@link
 * io.millrace.model.contract.Reference} is the readable definition of each kernel.
 */
package io.millrace.model.contract;
