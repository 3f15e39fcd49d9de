package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.millrace.cluster.FlinkSettings;
import io.millrace.cluster.JvmFlags;
import io.millrace.jobs.Job;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What docker/ says about memory and flags is what {@code millrace cluster} runs with. */
class DeploymentFilesTest {

  private static final Path ROOT = Path.of("..");
  private static final String DISTRIBUTION = "flink-jobs/cli/target/distribution";
  private static final Pattern THREADS =
      Pattern.compile("(OMP_NUM_THREADS|OPENBLAS_NUM_THREADS)=\"?(?:\\$\\{\\w+:-)?(\\d+)");

  /** What a FlinkDeployment has keys of its own for, and what belongs to ZooKeeper. */
  private static final Set<String> ELSEWHERE =
      Set.of(
          "jobmanager.memory.process.size",
          "taskmanager.memory.process.size",
          "high-availability.zookeeper.client.session-timeout",
          "high-availability.zookeeper.client.connection-timeout",
          "high-availability.zookeeper.client.tolerate-suspended-connections",
          "zookeeper.sasl.disable");

  private static String read(String file) throws IOException {
    return Files.readString(ROOT.resolve(file));
  }

  @Test
  void flinkAndTheLauncherTakeTheSameFlags() throws Exception {
    assertEquals(
        String.join(" ", JvmFlags.required()), FlinkSettings.common().get("env.java.opts.all"));
    assertTrue(read("millrace").contains("distribution=\"$home/" + DISTRIBUTION + "\""));
    assertTrue(read("millrace").contains("@\"$distribution/jvm.options\""));
    assertEquals(read("model/jvm.options"), read(DISTRIBUTION + "/jvm.options"));
    assertTrue(read("pom.xml").contains("/model/jvm.options"));
  }

  @Test
  void theImageTakesTheSettingsAsTheyAre() throws Exception {
    String image = read("docker/Dockerfile");
    assertTrue(image.contains("/src/" + DISTRIBUTION + "/config.yaml /opt/flink/conf/config.yaml"));
    assertTrue(image.contains("COPY --from=build /src/" + DISTRIBUTION + " " + DISTRIBUTION));
    assertEquals(threads(read("millrace")), threads(image));
    assertEquals(Set.of("1"), Set.copyOf(threads(image).values()));
  }

  private static Map<String, String> threads(String text) {
    Map<String, String> threads = new TreeMap<>();
    Matcher matcher = THREADS.matcher(text);
    while (matcher.find()) {
      threads.put(matcher.group(1), matcher.group(2));
    }
    assertEquals(2, threads.size(), threads.toString());
    return threads;
  }

  @Test
  void composeStartsTheImageAndSubmitsJobsThatThereAre() throws Exception {
    JsonNode services = new YAMLMapper().readTree(read("docker/compose.yaml")).path("services");
    assertEquals("jobmanager", services.path("jobmanager").path("command").asText());
    assertEquals("taskmanager", services.path("taskmanager").path("command").asText());
    for (Job job : List.of(Job.REWARD_MODEL, Job.ROLLOUT, Job.PPO)) {
      JsonNode command = services.path(job.id()).path("command");
      assertEquals("submit", command.path(0).asText(), job.id());
      assertEquals(job.id(), command.path(1).asText());
    }
  }

  @Test
  void gpusHaveAnImageAndVariantsOfTheirOwn() throws Exception {
    String image = read("docker/Dockerfile");
    assertTrue(image.contains(" AS cuda\n"), "the target that the variants name");
    assertTrue(image.endsWith("FROM runtime\n"), "without a target the image has no CUDA");
    assertTrue(image.contains("ARG PROFILES") && image.contains("./mvnw $PROFILES"));
    assertTrue(read("pom.xml").contains("<id>torch-cuda</id>"), "the profile");
    YAMLMapper yaml = new YAMLMapper();
    JsonNode plain = yaml.readTree(read("docker/compose.yaml")).path("services");
    JsonNode cuda = yaml.readTree(read("docker/compose.cuda.yaml")).path("services");
    assertEquals(1, cuda.path("taskmanager").path("deploy").path("replicas").asInt());
    String settings =
        cuda.path("taskmanager").path("environment").path("FLINK_PROPERTIES").asText();
    for (String line :
        plain
            .path("taskmanager")
            .path("environment")
            .path("FLINK_PROPERTIES")
            .asText()
            .lines()
            .toList()) {
      assertTrue(settings.contains(line), line);
    }
    assertTrue(settings.contains("external-resource.gpu.amount: 1\n"), settings);
    JsonNode patch =
        yaml.readTree(read("docker/kubernetes/cuda/kustomization.yaml")).path("patches").path(0);
    assertEquals(
        yaml.readTree(read("docker/kubernetes/ppo.yaml")).path("metadata").path("name"),
        patch.path("target").path("name"));
    for (JsonNode operation : yaml.readTree(patch.path("patch").asText())) {
      String path = operation.path("path").asText();
      String parent = path.substring(0, path.lastIndexOf('/'));
      assertFalse(
          yaml.readTree(read("docker/kubernetes/ppo.yaml")).at(parent).isMissingNode(), path);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reward-model", "rollout", "ppo"})
  void kubernetesRunsWithTheSameMemoryAndFlags(String job) throws Exception {
    JsonNode spec =
        new YAMLMapper().readTree(read("docker/kubernetes/" + job + ".yaml")).path("spec");
    Map<String, String> common = FlinkSettings.common();
    common.forEach(
        (key, value) -> {
          if (!ELSEWHERE.contains(key)) {
            assertEquals(value, spec.path("flinkConfiguration").path(key).asText(), key);
          }
        });
    assertEquals(
        common.get("jobmanager.memory.process.size"),
        spec.path("jobManager").path("resource").path("memory").asText());
    assertEquals(
        common.get("taskmanager.memory.process.size"),
        spec.path("taskManager").path("resource").path("memory").asText());
    assertEquals(
        Optional.of(job), Job.named(spec.path("job").path("args").path(0).asText()).map(Job::id));
    Class.forName(spec.path("job").path("entryClass").asText());
    JsonNode limits =
        spec.path("taskManager")
            .path("podTemplate")
            .path("spec")
            .path("containers")
            .path(0)
            .path("resources")
            .path("limits");
    assertEquals(job.equals("ppo") ? 1 : 0, limits.path("nvidia.com/gpu").asInt(0));
  }
}
