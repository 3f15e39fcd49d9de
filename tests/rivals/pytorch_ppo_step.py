#!/usr/bin/env python3
"""One PPO gradient step of policy and critic in eager PyTorch, for comparison with `millrace bench update`.

Done as TRL's PPOTrainer does it: a padded batch, logits of all positions, log-softmax over the response,
entropy as a figure, clipped losses, global-norm clipping, torch.optim.AdamW, fused on a GPU. bfloat16 is
autocast over float32 weights. With --micro-batch the gradients of so many sequences at a time add up. The
models are the same Llama (RMSNorm, rotary embeddings, grouped-query attention, SwiGLU, tied head), and
every position counts as a token. Prints one JSON line for each number of threads.

    python3 tests/rivals/pytorch_ppo_step.py --hidden 256 --layers 4 --heads 8 --kv-heads 4 --ffn 704 \\
        --vocab 512 --batch 16 --length 128 --iterations 7
"""

import argparse
import contextlib
import json
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, x.shape[-1:], self.weight, 1e-5)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate(x, cos, sin):
    """x [batch, heads, length, head_dim]; cos, sin [length, head_dim]."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


def attend(q, k, v, mask):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
    return scores.softmax(-1) @ v


class Layer(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = a.heads, a.kv_heads, a.hidden // a.heads
        self.norm1 = RmsNorm(a.hidden)
        self.q = nn.Linear(a.hidden, a.heads * self.head_dim, bias=False)
        self.k = nn.Linear(a.hidden, a.kv_heads * self.head_dim, bias=False)
        self.v = nn.Linear(a.hidden, a.kv_heads * self.head_dim, bias=False)
        self.o = nn.Linear(a.heads * self.head_dim, a.hidden, bias=False)
        self.norm2 = RmsNorm(a.hidden)
        self.gate = nn.Linear(a.hidden, a.ffn, bias=False)
        self.up = nn.Linear(a.hidden, a.ffn, bias=False)
        self.down = nn.Linear(a.ffn, a.hidden, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        y = self.norm1(x)
        q = rotate(self.q(y).view(batch, length, self.heads, -1).transpose(1, 2), cos, sin)
        k = rotate(self.k(y).view(batch, length, self.kv_heads, -1).transpose(1, 2), cos, sin)
        v = self.v(y).view(batch, length, self.kv_heads, -1).transpose(1, 2)
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        q, k = q.to(v.dtype), k.to(v.dtype)
        x = x + self.o(attend(q, k, v, mask).transpose(1, 2).reshape(batch, length, -1))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embedding = nn.Embedding(a.vocab, a.hidden)
        self.layers = nn.ModuleList(Layer(a) for _ in range(a.layers))
        self.norm = RmsNorm(a.hidden)
        head_dim = a.hidden // a.heads
        frequencies = 10_000 ** (-torch.arange(0, head_dim, 2) / head_dim)
        angles = torch.outer(torch.arange(a.length), frequencies)
        angles = torch.cat((angles, angles), dim=-1)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.register_buffer("mask", torch.full((a.length, a.length), -1e30).triu(1))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin, self.mask)
        return self.norm(x)


class Policy(Llama):
    def forward(self, tokens):
        return super().forward(tokens) @ self.embedding.weight.t()


class Critic(Llama):
    def __init__(self, a):
        super().__init__(a)
        self.score = nn.Linear(a.hidden, 1, bias=False)

    def forward(self, tokens):
        return self.score(super().forward(tokens)).squeeze(-1)


def gradients(policy, critic, data, response, share, precision):
    """Adds the gradients of some sequences; the loss is TRL's: policy plus a tenth of the value loss."""
    tokens, old_log_probs, old_values, advantages, returns = data
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = policy(tokens)[:, -response - 1 : -1].float()
        values = critic(tokens)[:, -response - 1 : -1].float()
    log_probs = logits.log_softmax(-1).gather(-1, tokens[:, -response:, None]).squeeze(-1)
    ratio = (log_probs - old_log_probs).exp()
    policy_loss = torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
    clipped = torch.max(torch.min(values, old_values + 0.2), old_values - 0.2)
    value_loss = 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2).mean()
    ((policy_loss + 0.1 * value_loss) * share).backward()
    with torch.no_grad():
        p = logits.softmax(-1)
        return (logits.logsumexp(-1) - (p * logits).sum(-1)).mean().item()


def step(policy, critic, optimizer, data, response, micro_batch, precision):
    """One update."""
    optimizer.zero_grad()
    batch = len(data[0])
    entropy = 0
    for start in range(0, batch, micro_batch):
        part = [each[start : start + micro_batch] for each in data]
        share = micro_batch / batch
        entropy += share * gradients(policy, critic, part, response, share, precision)
    nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
    optimizer.step()
    if data[0].is_cuda:
        torch.cuda.synchronize()
    return entropy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in dict(
        hidden=256, layers=4, heads=8, kv_heads=4, ffn=704, vocab=512, batch=16, length=128, iterations=7
    ).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--response", type=int, help="tokens of each response (half of --length)")
    parser.add_argument("--micro-batch", type=int, help="sequences at a time (all)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", default="1,2", help="numbers of threads to try (1,2)")
    a = parser.parse_args()
    response = a.response or a.length // 2
    micro_batch = a.micro_batch or a.batch
    if a.batch % micro_batch:
        parser.error(f"--micro-batch must divide --batch {a.batch}, not {micro_batch}")
    device = torch.device(a.device)

    torch.manual_seed(1)
    # Random weights of a large model come faster from the GPU.
    with device if device.type == "cuda" else contextlib.nullcontext():
        policy, critic = Policy(a).to(device), Critic(a).to(device)
    fused = dict(fused=True) if device.type == "cuda" else {}
    optimizer = torch.optim.AdamW(
        [*policy.parameters(), *critic.parameters()], lr=1e-6, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1, **fused
    )
    shape = (a.batch, response)
    data = (
        torch.randint(0, a.vocab, (a.batch, a.length)),
        torch.full(shape, -math.log(a.vocab)),
        torch.zeros(shape),
        torch.randn(shape),
        torch.randn(shape),
    )
    data = tuple(each.to(device) for each in data)
    for threads in map(int, a.threads.split(",")):
        torch.set_num_threads(threads)
        for _ in range(2):
            step(policy, critic, optimizer, data, response, micro_batch, a.precision)
        seconds = []
        for _ in range(a.iterations):
            start = time.perf_counter()
            step(policy, critic, optimizer, data, response, micro_batch, a.precision)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        print(
            json.dumps(
                dict(
                    case="update",
                    backend="pytorch " + torch.__version__,
                    precision=a.precision,
                    threads=threads,
                    shape={k: getattr(a, k) for k in ("hidden", "layers", "heads", "kv_heads", "ffn", "vocab")},
                    lengths=dict(batch=a.batch, length=a.length, response=response),
                    iterations=a.iterations,
                    median_seconds=round(median, 5),
                    tokens_per_second=round(a.batch * a.length / median, 1),
                    peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                )
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
