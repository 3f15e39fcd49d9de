import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * One PPO gradient step of policy and critic in eager libtorch with autograd, for comparison with
 * {@code millrace bench update --backend torch}: the same as {@code pytorch_ppo_step.py}, on the
 * libtorch that the backend uses. In bfloat16 each product reads a bfloat16 copy of its float32
 * weight, as autocast does; norms, logits and losses are float32. With {@code --micro-batch} the
 * gradients of so many sequences at a time add up, where the activations of all do not fit.
 *
 * <pre>
 *   MILLRACE_TORCH=cpu ./millrace version
 *   OMP_WAIT_POLICY=PASSIVE java @model/jvm.options -cp 'flink-jobs/cli/target/distribution/lib/*' \
 *       tests/rivals/LibtorchPpoStep.java --hidden 256 --layers 4 --heads 8 --kv-heads 4 --ffn 704 \
 *       --vocab 512 --batch 16 --length 128 --precision bfloat16 --threads 1
 * </pre>
 */
final class LibtorchPpoStep {

  private static final Map<String, String> DEFAULTS =
      Map.ofEntries(
          Map.entry("hidden", "256"),
          Map.entry("layers", "4"),
          Map.entry("heads", "8"),
          Map.entry("kv-heads", "4"),
          Map.entry("ffn", "704"),
          Map.entry("vocab", "512"),
          Map.entry("batch", "16"),
          Map.entry("micro-batch", ""),
          Map.entry("length", "128"),
          Map.entry("response", ""),
          Map.entry("iterations", "7"),
          Map.entry("threads", "1"),
          Map.entry("precision", "float32"),
          Map.entry("device", "cpu"));

  private final Map<String, String> options;
  private final Device device;
  private final int hidden;
  private final int layers;
  private final int heads;
  private final int kvHeads;
  private final int ffn;
  private final int vocab;
  private final int batch;
  private final int microBatch;
  private final int length;
  private final int response;
  private final ScalarType type;
  private final Tensor cos;
  private final Tensor sin;

  /** Weights by name, in the order of the optimizer. */
  private final class Model {
    final Map<String, Tensor> weights = new HashMap<>();
    final List<Tensor> all = new ArrayList<>();

    Model(boolean critic) {
      add("embedding", vocab, hidden);
      for (int i = 0; i < layers; i++) {
        add(i + "norm1", hidden);
        add(i + "q", hidden, hidden);
        add(i + "k", kvHeads * (hidden / heads), hidden);
        add(i + "v", kvHeads * (hidden / heads), hidden);
        add(i + "o", hidden, hidden);
        add(i + "norm2", hidden);
        add(i + "gate", ffn, hidden);
        add(i + "up", ffn, hidden);
        add(i + "down", hidden, ffn);
      }
      add("norm", hidden);
      if (critic) {
        add("score", 1, hidden);
      }
    }

    private void add(String name, long... shape) {
      Tensor weight =
          shape.length == 1 ? torch.ones(shape) : torch.randn(shape).mul_(new Scalar(0.02));
      weight = weight.to(device, ScalarType.Float);
      weights.put(name, weight.set_requires_grad(true));
      all.add(weight);
    }

    Tensor get(String name) {
      return weights.get(name);
    }
  }

  private LibtorchPpoStep(Map<String, String> options) {
    this.options = options;
    this.device = new Device(options.get("device"));
    this.hidden = number("hidden");
    this.layers = number("layers");
    this.heads = number("heads");
    this.kvHeads = number("kv-heads");
    this.ffn = number("ffn");
    this.vocab = number("vocab");
    this.batch = number("batch");
    this.microBatch = options.get("micro-batch").isEmpty() ? batch : number("micro-batch");
    if (batch % microBatch != 0) {
      throw new IllegalArgumentException("--micro-batch must divide --batch " + batch);
    }
    this.length = number("length");
    this.response = options.get("response").isEmpty() ? length / 2 : number("response");
    this.type =
        options.get("precision").equals("bfloat16") ? ScalarType.BFloat16 : ScalarType.Float;
    int half = hidden / heads / 2;
    float[] angles = new float[length * 2 * half];
    for (int i = 0; i < angles.length; i++) {
      angles[i] =
          (float) (i / (2 * half) * Math.pow(10_000, -2.0 * (i % half) / (hidden / heads)));
    }
    Tensor table = torch.tensor(angles).view(length, 2L * half).to(device, ScalarType.Float);
    this.cos = table.cos().to(type);
    this.sin = table.sin().to(type);
  }

  private int number(String name) {
    return Integer.parseInt(options.get(name));
  }

  private Tensor norm(Tensor x, Tensor weight) {
    Tensor wide = x.to(ScalarType.Float);
    return torch
        .rms_norm(wide, new long[] {hidden}, new TensorOptional(weight), new DoubleOptional(1e-5))
        .to(type);
  }

  private Tensor linear(Tensor x, Tensor weight) {
    return x.matmul(weight.to(type).t());
  }

  private Tensor rotate(Tensor x) {
    long half = hidden / heads / 2;
    Tensor turned =
        torch.cat(
            new TensorVector(x.narrow(3, half, half).neg(), x.narrow(3, 0, half)), 3);
    return x.mul(cos).add(turned.mul(sin));
  }

  private Tensor byHead(Tensor x, int count) {
    return x.view(microBatch, length, count, hidden / heads).transpose(1, 2);
  }

  private Tensor trunk(Model m, Tensor tokens) {
    Tensor x = torch.embedding(m.get("embedding"), tokens).to(type);
    for (int i = 0; i < layers; i++) {
      Tensor y = norm(x, m.get(i + "norm1"));
      Tensor q = rotate(byHead(linear(y, m.get(i + "q")), heads));
      Tensor k = rotate(byHead(linear(y, m.get(i + "k")), kvHeads));
      Tensor v = byHead(linear(y, m.get(i + "v")), kvHeads);
      Tensor attended =
          torch.scaled_dot_product_attention(
              q, k, v, new TensorOptional(), 0, true, new DoubleOptional(), true);
      x = x.add(linear(attended.transpose(1, 2).reshape(microBatch, length, hidden), m.get(i + "o")));
      y = norm(x, m.get(i + "norm2"));
      Tensor gated = torch.silu(linear(y, m.get(i + "gate"))).mul(linear(y, m.get(i + "up")));
      x = x.add(linear(gated, m.get(i + "down")));
    }
    return norm(x, m.get("norm"));
  }

  private double step(Model policy, Model critic, AdamW optimizer, Tensor[] data) {
    optimizer.zero_grad();
    double entropy = 0;
    for (int from = 0; from < batch; from += microBatch) {
      try (PointerScope scope = new PointerScope()) {
        Tensor[] part = new Tensor[data.length];
        for (int i = 0; i < part.length; i++) {
          part[i] = data[i].narrow(0, from, microBatch);
        }
        entropy += gradients(policy, critic, part) * microBatch / batch;
      }
    }
    torch.clip_grad_norm_(vector(policy), 1.0);
    torch.clip_grad_norm_(vector(critic), 1.0);
    optimizer.step();
    // Waits for a GPU.
    policy.get("norm").sum().item_double();
    return entropy;
  }

  /** Adds the gradients of some sequences and returns their mean entropy. */
  private double gradients(Model policy, Model critic, Tensor[] data) {
    Tensor tokens = data[0];
    Tensor oldLogProbs = data[1];
    Tensor oldValues = data[2];
    Tensor advantages = data[3];
    Tensor returns = data[4];
    Tensor logits =
        linear(trunk(policy, tokens), policy.get("embedding"))
            .to(ScalarType.Float)
            .narrow(1, length - response - 1, response);
    Tensor targets = tokens.narrow(1, length - response, response).unsqueeze(2);
    Tensor logProbs = logits.log_softmax(2).gather(2, targets).squeeze(2);
    Tensor values =
        trunk(critic, tokens)
            .to(ScalarType.Float)
            .matmul(critic.get("score").t())
            .squeeze(2)
            .narrow(1, length - response - 1, response);
    Tensor ratio = logProbs.sub(oldLogProbs).exp();
    Tensor clamped = ratio.clamp(optional(0.8), optional(1.2));
    Tensor negative = advantages.neg();
    Tensor policyLoss = negative.mul(ratio).maximum(negative.mul(clamped)).mean();
    Tensor clipped =
        values
            .minimum(oldValues.add(new Scalar(0.2)))
            .maximum(oldValues.sub(new Scalar(0.2)));
    Tensor valueLoss =
        values.sub(returns).square().maximum(clipped.sub(returns).square()).mean();
    policyLoss
        .add(valueLoss.mul(new Scalar(0.05)))
        .mul(new Scalar((double) microBatch / batch))
        .backward(
            new Tensor(), new BoolOptional(), false, new TensorArrayRefOptional());
    Tensor detached = logits.detach();
    Tensor p = detached.softmax(2);
    return detached
        .logsumexp(2)
        .sub(p.mul(detached).sum(2))
        .mean()
        .item_double();
  }

  private static ScalarOptional optional(double value) {
    return new ScalarOptional(new Scalar(value));
  }

  private static TensorVector vector(Model model) {
    return new TensorVector(model.all.toArray(new Tensor[0]));
  }

  private void run() {
    Model policy = new Model(false);
    Model critic = new Model(true);
    List<Tensor> all = new ArrayList<>(policy.all);
    all.addAll(critic.all);
    AdamWOptions settings = new AdamWOptions(1e-6);
    settings.betas().put(0, 0.9).put(1, 0.95);
    settings.eps().put(1e-5);
    settings.weight_decay().put(0.1);
    AdamW optimizer = new AdamW(new TensorVector(all.toArray(new Tensor[0])), settings);
    long[] shape = {batch, response};
    Tensor[] data = {
      torch.randint(vocab, new long[] {batch, length}).to(device, ScalarType.Long),
      torch.full(shape, new Scalar(-Math.log(vocab))).to(device, ScalarType.Float),
      torch.zeros(shape).to(device, ScalarType.Float),
      torch.randn(shape).to(device, ScalarType.Float),
      torch.randn(shape).to(device, ScalarType.Float)
    };
    for (String threads : options.get("threads").split(",")) {
      torch.set_num_threads(Integer.parseInt(threads));
      double[] seconds = new double[number("iterations")];
      long start = System.nanoTime();
      for (int i = -3; i < seconds.length; i++) {
        // As bench update: at least 3 repetitions and 8 s of warm-up.
        boolean warm = i >= 0;
        long from = System.nanoTime();
        try (PointerScope scope = new PointerScope()) {
          step(policy, critic, optimizer, data);
        }
        if (warm) {
          seconds[i] = (System.nanoTime() - from) / 1e9;
        } else if (i == -1 && System.nanoTime() - start < 8_000_000_000L) {
          i--;
        }
      }
      Arrays.sort(seconds);
      double median = seconds[seconds.length / 2];
      System.out.printf(
          Locale.ROOT,
          "{\"case\":\"update\",\"backend\":\"libtorch with autograd\",\"precision\":\"%s\","
              + "\"threads\":%s,\"hidden\":%d,\"iterations\":%d,\"median_seconds\":%.5f,"
              + "\"tokens_per_second\":%.1f}%n",
          options.get("precision"),
          threads,
          hidden,
          seconds.length,
          median,
          batch * length / median);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = new HashMap<>(DEFAULTS);
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      String name = arguments[i].replaceFirst("^--", "");
      if (!DEFAULTS.containsKey(name)) {
        throw new IllegalArgumentException(
            "no option " + arguments[i] + "; there are " + Set.copyOf(DEFAULTS.keySet()));
      }
      options.put(name, arguments[i + 1]);
    }
    String platform = "/org/bytedeco/pytorch/" + Loader.Detector.getPlatform();
    boolean cuda = torch.class.getResource(platform + "-gpu/libtorch_cuda.so") != null;
    Loader.cacheResources(platform + (cuda ? "-gpu/" : "/"));
    Loader.load(torch.class);
    new LibtorchPpoStep(options).run();
  }
}
