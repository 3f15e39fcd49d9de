package io.millrace.model.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Collections;
import java.util.Enumeration;
import org.junit.jupiter.api.Test;

/** Backends by name. */
class BackendsTest {

  /** The classes of this module, without any service. */
  private static final class WithoutServices extends URLClassLoader {
    WithoutServices() {
      super(
          new URL[] {Backends.class.getProtectionDomain().getCodeSource().getLocation()},
          ClassLoader.getPlatformClassLoader());
    }

    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
      return name.startsWith("META-INF/services/")
          ? Collections.emptyEnumeration()
          : super.getResources(name);
    }
  }

  @Test
  void aClassPathWithoutABackendIsReportedWithTheJar() throws Exception {
    try (WithoutServices loader = new WithoutServices()) {
      Class<?> backends = Class.forName(Backends.class.getName(), true, loader);
      InvocationTargetException e =
          assertThrows(
              InvocationTargetException.class,
              () -> backends.getMethod("openDefault").invoke(null));
      assertEquals(IllegalArgumentException.class, e.getCause().getClass());
      assertEquals(
          "the compute backend cannot be 'cpu': the class path has no compute backend; add the jar"
              + " millrace-model-cpu",
          e.getCause().getMessage());
    }
  }
}
