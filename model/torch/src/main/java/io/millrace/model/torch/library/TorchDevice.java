package io.millrace.model.torch.library;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A device of libtorch: makes tensors on it, and copies between it and the arrays of the host.
 * Every copy is counted, also where the device is the CPU. The backend and each tensor use the
 * device; the last one to close it frees it.
 */
public final class TorchDevice implements AutoCloseable {

  private static final LongAdder BYTES_TO = new LongAdder();
  private static final LongAdder BYTES_FROM = new LongAdder();

  private final AtomicInteger users = new AtomicInteger(1);
  private final String name;
  private final Device device;
  private final MemoryFormatOptional anyFormat;
  private final Map<ScalarType, TensorOptions> options = new EnumMap<>(ScalarType.class);
  private final Map<ScalarType, TensorOptions> hostOptions = new EnumMap<>(ScalarType.class);

  /**
   * A device.
   *
   * @param name {@code cpu}, {@code cuda:N}, or {@code meta}, whose tensors have shapes and no
   *     elements
   */
  public TorchDevice(String name) {
    this.name = name;
    try (PointerScope _ = new PointerScope()) {
      this.device = new Device(name).retainReference();
      this.anyFormat = new MemoryFormatOptional().retainReference();
      for (ScalarType type :
          new ScalarType[] {
            ScalarType.Float,
            ScalarType.BFloat16,
            ScalarType.Double,
            ScalarType.Long,
            ScalarType.Int
          }) {
        options.put(type, optionsOf(type, device, false));
        hostOptions.put(type, optionsOf(type, new Device("cpu"), isCuda()));
      }
    }
  }

  private static TensorOptions optionsOf(ScalarType type, Device device, boolean pinned) {
    // Each setter returns a changed copy.
    return new TensorOptions()
        .dtype(new ScalarTypeOptional(type))
        .device(new DeviceOptional(device))
        .pinned_memory(new BoolOptional(pinned))
        .retainReference();
  }

  public String name() {
    return name;
  }

  public boolean isCuda() {
    return name.startsWith("cuda");
  }

  public boolean isCpu() {
    return name.equals("cpu");
  }

  public boolean isMeta() {
    return name.equals("meta");
  }

  public static long bytesTo() {
    return BYTES_TO.sum();
  }

  public static long bytesFrom() {
    return BYTES_FROM.sum();
  }

  /** A tensor with undefined elements. */
  public Tensor empty(ScalarType type, long... shape) {
    return torch.empty(shape, options.get(type), anyFormat);
  }

  public Tensor zeros(ScalarType type, long... shape) {
    return torch.zeros(shape, options.get(type));
  }

  /** A tensor on the host, page-locked if that speeds up copies to the device. */
  private Tensor host(ScalarType type, long size) {
    return torch.empty(new long[] {size}, hostOptions.get(type), anyFormat);
  }

  /** Indices as int64, {@code [n]}. */
  public Tensor longs(int[] values) {
    long[] wide = new long[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    Tensor host = host(ScalarType.Long, wide.length);
    try (LongPointer pointer = host.data_ptr_long()) {
      pointer.put(wide, 0, wide.length);
    }
    return sent(host, ScalarType.Long);
  }

  /** Int32 values, {@code [n]}. */
  public Tensor ints(int[] values) {
    Tensor host = host(ScalarType.Int, values.length);
    try (IntPointer pointer = host.data_ptr_int()) {
      pointer.put(values, 0, values.length);
    }
    return sent(host, ScalarType.Int);
  }

  /** Float32 values, {@code [length]}. */
  public Tensor floats(float[] values, int from, int length) {
    Tensor host = host(ScalarType.Float, length);
    try (FloatPointer pointer = host.data_ptr_float()) {
      pointer.put(values, from, length);
    }
    return sent(host, ScalarType.Float);
  }

  /** Float64 values, {@code [n]}. */
  public Tensor doubles(double[] values) {
    Tensor host = host(ScalarType.Double, values.length);
    try (DoublePointer pointer = host.data_ptr_double()) {
      pointer.put(values, 0, values.length);
    }
    return sent(host, ScalarType.Double);
  }

  private Tensor sent(Tensor host, ScalarType type) {
    BYTES_TO.add(host.nbytes());
    return isCpu() ? host : host.to(device, type);
  }

  /** Copies a dense tensor of any number type to float32 values. */
  public void read(Tensor source, float[] target, int from, int length) {
    BYTES_FROM.add(source.nbytes());
    if (isMeta()) {
      return;
    }
    Tensor host = source;
    if (!isCpu() || Constants.typeOf(source) != ScalarType.Float || !source.is_contiguous()) {
      host = host(ScalarType.Float, length);
      host.copy_(source.reshape(length));
    }
    try (FloatPointer pointer = host.data_ptr_float()) {
      pointer.get(target, from, length);
    }
  }

  /** As {@link #read}, of a tensor that no kernel writes: a copy waits for no kernel. */
  void readFrozen(Tensor source, float[] target, int from, int length) {
    if (isCuda()) {
      SideStream.run(index(), () -> read(source, target, from, length));
    } else {
      read(source, target, from, length);
    }
  }

  /** Waits until the kernels that were started so far have written their results. */
  void awaitKernels() {
    if (isCuda()) {
      SideStream.awaitKernels(index());
    }
  }

  private byte index() {
    return Byte.parseByte(name.substring(name.indexOf(':') + 1));
  }

  /** Copies an int64 tensor to int32 values. */
  public void read(Tensor source, int[] target) {
    BYTES_FROM.add(source.nbytes());
    if (isMeta()) {
      return;
    }
    long[] values = new long[target.length];
    Tensor host = source;
    if (!isCpu() || !source.is_contiguous()) {
      host = host(ScalarType.Long, values.length);
      host.copy_(source);
    }
    try (LongPointer pointer = host.data_ptr_long()) {
      pointer.get(values, 0, values.length);
    }
    for (int i = 0; i < values.length; i++) {
      target[i] = (int) values[i];
    }
  }

  /** The only element of a tensor. */
  public double item(Tensor scalar) {
    BYTES_FROM.add(scalar.nbytes());
    return isMeta() ? 0 : scalar.item_double();
  }

  /** Overwrites a dense tensor of any number type with float32 values. */
  public void write(Tensor target, float[] source, int from, int length) {
    if (isCpu() && Constants.typeOf(target) == ScalarType.Float) {
      BYTES_TO.add((long) Float.BYTES * length);
      try (FloatPointer pointer = target.data_ptr_float()) {
        pointer.put(source, from, length);
      }
    } else {
      target.copy_(floats(source, from, length));
    }
  }

  /** Adds a user, which closes the device once. */
  void retain() {
    users.incrementAndGet();
  }

  @Override
  public void close() {
    if (users.decrementAndGet() > 0) {
      return;
    }
    options.values().forEach(TensorOptions::deallocate);
    hostOptions.values().forEach(TensorOptions::deallocate);
    anyFormat.deallocate();
    device.deallocate();
  }
}
