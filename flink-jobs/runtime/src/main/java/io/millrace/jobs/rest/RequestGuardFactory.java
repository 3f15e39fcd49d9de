package io.millrace.jobs.rest;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.runtime.io.network.netty.InboundChannelHandlerFactory;
import org.apache.flink.shaded.netty4.io.netty.buffer.Unpooled;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelFutureListener;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandler;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerContext;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelInboundHandlerAdapter;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.DefaultFullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.FullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpHeaderNames;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpRequest;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpResponseStatus;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpVersion;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.QueryStringDecoder;
import org.apache.flink.shaded.netty4.io.netty.util.ReferenceCountUtil;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Puts a {@link RequestGuard} before Flink's REST interface; Flink finds this class by itself. */
public final class RequestGuardFactory implements InboundChannelHandlerFactory {

  private static final Logger LOG = LoggerFactory.getLogger(RequestGuardFactory.class);

  /** Before handlers of others. */
  private static final int FIRST = Integer.MAX_VALUE;

  @Override
  public int priority() {
    return FIRST;
  }

  @Override
  public Optional<ChannelHandler> createHandler(
      Configuration configuration, Map<String, String> responseHeaders) {
    return Optional.of(new Handler(new RequestGuard(isLoopback(configuration))));
  }

  private static boolean isLoopback(Configuration configuration) {
    String address = configuration.get(RestOptions.BIND_ADDRESS);
    try {
      return address != null && InetAddress.getByName(address).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }

  private static final class Handler extends ChannelInboundHandlerAdapter {

    private final RequestGuard guard;

    Handler(RequestGuard guard) {
      this.guard = guard;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      if (message instanceof HttpRequest request) {
        Optional<String> refusal =
            guard.refusal(
                new RequestGuard.Request(
                    request.method().name(),
                    new QueryStringDecoder(request.uri()).path(),
                    request.headers().get(HttpHeaderNames.HOST),
                    request.headers().get(HttpHeaderNames.ORIGIN),
                    request.headers().get("Sec-Fetch-Site")));
        if (refusal.isPresent()) {
          ReferenceCountUtil.release(message);
          refuse(context, refusal.get());
          return;
        }
      }
      context.fireChannelRead(message);
    }

    private static void refuse(ChannelHandlerContext context, String reason) {
      LOG.warn("refused a request of {}: {}", context.channel().remoteAddress(), reason);
      FullHttpResponse response =
          new DefaultFullHttpResponse(
              HttpVersion.HTTP_1_1,
              HttpResponseStatus.FORBIDDEN,
              Unpooled.copiedBuffer("refused by Millrace\n", StandardCharsets.UTF_8));
      response.headers().set(HttpHeaderNames.CONTENT_TYPE, "text/plain; charset=utf-8");
      response.headers().setInt(HttpHeaderNames.CONTENT_LENGTH, response.content().readableBytes());
      response.headers().set(HttpHeaderNames.CONNECTION, "close");
      var _ = context.writeAndFlush(response).addListener(ChannelFutureListener.CLOSE);
    }
  }
}
