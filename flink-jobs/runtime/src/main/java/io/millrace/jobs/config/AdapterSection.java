package io.millrace.jobs.config;

import io.millrace.model.llama.AdapterConfig;
import java.io.Serializable;
import java.util.List;
import java.util.Optional;

/** Low-rank adapters (LoRA, arXiv 2106.09685) in place of training all weights. */
public record AdapterSection(
    @Option(
            value = "0",
            help =
                "Rank of low-rank adapters (LoRA). 0 trains all weights. Otherwise policy, critic"
                    + " and reward models are adapters on the frozen weights of `model.initial`,"
                    + " which a process loads once.",
            min = "0",
            max = "1024",
            fixed = true)
        int rank,
    @Option(
            value = "16",
            help = "α of adapters: their product is scaled by α / rank.",
            above = "0",
            max = "65536",
            fixed = true)
        double alpha,
    @Option(
            value = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
            help = "Projections of each layer that get an adapter, under Hugging Face's names.",
            fixed = true)
        List<String> targets,
    @Option(
            value = "0",
            help = "Dropout of adapters. Only 0 is supported: recovery repeats every update.",
            min = "0",
            max = "0")
        double dropout)
    implements Serializable {

  public AdapterSection {
    targets = List.copyOf(targets);
    if (rank > 0) {
      int r = rank;
      List<String> names = targets;
      Require.accepted("rank, alpha, targets", () -> new AdapterConfig(r, alpha, names));
    }
  }

  /** The adapter; empty if all weights are trained. */
  public Optional<AdapterConfig> config() {
    return rank == 0 ? Optional.empty() : Optional.of(new AdapterConfig(rank, alpha, targets));
  }
}
