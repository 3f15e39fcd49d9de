package io.millrace.model.torch.library;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * An operator of libtorch that has no public function. Its arguments change between releases, so
 * its schema is compared with the one that this class was written for.
 */
public enum Operator {
  FLASH_CPU(
      "aten::_scaled_dot_product_flash_attention_for_cpu",
      "(Tensor query, Tensor key, Tensor value, float dropout_p=0., bool is_causal=False, *,"
          + " Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor logsumexp)"),
  FLASH_CPU_BACKWARD(
      "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
      "(Tensor grad_out, Tensor query, Tensor key, Tensor value, Tensor out, Tensor logsumexp,"
          + " float dropout_p, bool is_causal, *, Tensor? attn_mask=None, float? scale=None) ->"
          + " (Tensor grad_query, Tensor grad_key, Tensor grad_value)"),
  FLASH_CUDA(
      "aten::_flash_attention_forward",
      "(Tensor query, Tensor key, Tensor value, Tensor? cum_seq_q, Tensor? cum_seq_k, SymInt max_q,"
          + " SymInt max_k, float dropout_p, bool is_causal, bool return_debug_mask, *, float?"
          + " scale=None, SymInt? window_size_left=None, SymInt? window_size_right=None, Tensor?"
          + " seqused_k=None, Tensor? alibi_slopes=None) -> (Tensor output, Tensor"
          + " softmax_logsumexp, Tensor rng_state, Tensor unused, Tensor debug_attn_mask)"),
  FLASH_CUDA_BACKWARD(
      "aten::_flash_attention_backward",
      "(Tensor grad_out, Tensor query, Tensor key, Tensor value, Tensor out, Tensor logsumexp,"
          + " Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, float dropout_p, bool"
          + " is_causal, Tensor rng_state, Tensor unused, *, float? scale=None, SymInt?"
          + " window_size_left=None, SymInt? window_size_right=None) -> (Tensor, Tensor, Tensor)"),
  FUSED_ADAMW(
      "aten::_fused_adamw_",
      "(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs,"
          + " Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float"
          + " beta2, float weight_decay, float eps, bool amsgrad, bool maximize, Tensor?"
          + " grad_scale=None, Tensor? found_inf=None) -> ()");

  private final String operator;
  private final String schema;
  private volatile OperatorHandle handle;

  Operator(String operator, String arguments) {
    this.operator = operator;
    this.schema = operator + arguments;
  }

  /** The schema that this class was written for. */
  public String schema() {
    return schema;
  }

  /**
   * Compares the schemas of all operators.
   *
   * @throws IllegalStateException if one differs; the message has both texts
   */
  public static void requireSchemas() {
    for (Operator each : values()) {
      try (PointerScope _ = new PointerScope()) {
        OperatorHandle found = Dispatcher.singleton().findSchemaOrThrow(each.operator, "");
        each.require(torch.toString(found.schema()).getString());
        if (each.handle == null) {
          each.handle = found.retainReference();
        }
      }
    }
  }

  /** Compares the schema with that of the loaded library. */
  public void require(String found) {
    if (!found.equals(schema)) {
      throw new IllegalStateException(
          "libtorch %s: the operator is\n  %s\nbut this version of Millrace was written for\n  %s\nuse the jars of org.bytedeco:pytorch that it was built with"
              .formatted(Libtorch.version(), found, schema));
    }
  }

  /**
   * Calls the operator.
   *
   * @param arguments of all parameters, in order
   * @return the tensors that it returns, owned by the innermost {@link PointerScope}
   */
  public Tensor[] call(int results, IValue... arguments) {
    IValueVector stack = new IValueVector(arguments);
    handle.callBoxed(stack);
    Tensor[] tensors = new Tensor[results];
    for (int i = 0; i < results; i++) {
      // A reference of its own: toTensor points into the stack.
      tensors[i] = new Tensor(stack.get(i).toTensor());
    }
    return tensors;
  }
}
