package io.millrace.model.torch.library;

import java.util.ArrayDeque;

/**
 * The tensors of a backend that hold libtorch's views, the longest-standing first. Beyond a limit
 * the first ones give up their views.
 */
public final class Views {

  /** Some kilobytes each; a policy and a critic of 32 layers have 1,500 in use. */
  private static final int LIMIT = 8_192;

  private final ArrayDeque<TorchTensor> holders = new ArrayDeque<>();

  public synchronized void add(TorchTensor holder) {
    holders.add(holder);
  }

  /** Leaves the views of a block to the block. */
  synchronized void forget(Block block) {
    holders.removeIf(holder -> holder.block() == block);
  }

  /** Called between kernels, while no thread uses a view. */
  public synchronized void trim() {
    while (holders.size() > LIMIT) {
      TorchTensor holder = holders.remove();
      holder.dropViews();
      holder.block().forget(holder);
    }
  }
}
