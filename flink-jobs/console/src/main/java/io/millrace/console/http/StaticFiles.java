package io.millrace.console.http;

import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.serve.api.ApiException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/** The files of the page, from the jar. There are no others. */
final class StaticFiles {

  /** Nothing from other places, no inline script or style, no frame around the page. */
  static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
          + " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

  private static final HeaderName CONTENT_SECURITY = HeaderNames.create("Content-Security-Policy");
  private static final HeaderName SNIFFING = HeaderNames.create("X-Content-Type-Options");
  private static final HeaderName REFERRER = HeaderNames.create("Referrer-Policy");
  private static final HeaderName OPENER = HeaderNames.create("Cross-Origin-Opener-Policy");
  private static final HeaderName RESOURCES = HeaderNames.create("Cross-Origin-Resource-Policy");
  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";
  private static final String HTML = "text/html; charset=utf-8";
  private static final String SCRIPT = "text/javascript; charset=utf-8";
  private static final String STYLE = "text/css; charset=utf-8";

  private final Map<String, Page> files = new LinkedHashMap<>();

  private record Page(String type, byte[] content, String tag) {}

  StaticFiles() {
    add("/", HTML, "index.html");
    add("/style.css", STYLE, "style.css");
    for (String script : new String[] {"app", "dom", "annotate", "watch", "talk"}) {
      add("/" + script + ".js", SCRIPT, script + ".js");
    }
    add("/icon.svg", "image/svg+xml", "icon.svg");
    add("/uplot.js", SCRIPT, UPLOT + "uPlot.esm.js");
    add("/uplot.css", STYLE, UPLOT + "uPlot.min.css");
  }

  private void add(String path, String type, String resource) {
    try (InputStream in = StaticFiles.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("the class path lacks " + resource);
      }
      byte[] content = in.readAllBytes();
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
      files.put(path, new Page(type, content, '"' + HexFormat.of().formatHex(digest, 0, 12) + '"'));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** Headers of every response. */
  static void protect(ServerResponse response) {
    response
        .header(CONTENT_SECURITY, POLICY)
        .header(SNIFFING, "nosniff")
        .header(REFERRER, "no-referrer")
        .header(OPENER, "same-origin")
        .header(RESOURCES, "same-origin");
  }

  void send(ServerRequest request, ServerResponse response) {
    Page page = files.get(request.path().path());
    if (page == null) {
      throw ApiException.notFound("unknown_url", null, "there is no such page");
    }
    response.header(HeaderNames.CACHE_CONTROL, "no-cache").header(HeaderNames.ETAG, page.tag());
    if (request.headers().first(HeaderNames.IF_NONE_MATCH).orElse("").equals(page.tag())) {
      response.status(304).send();
      return;
    }
    response.header(HeaderNames.CONTENT_TYPE, page.type()).send(page.content());
  }
}
