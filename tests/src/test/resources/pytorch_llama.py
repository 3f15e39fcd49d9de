#!/usr/bin/env python3
"""Log-probs and gradients of a Llama in PyTorch, written from the architecture's description alone.

    pytorch_llama.py DIR SEQUENCES GRADIENTS

DIR has config.json and model.safetensors (float32). SEQUENCES is a JSON array of arrays of tokens. The
loss is the sum over i of sin(i) log p_i + cos(i) H_i / 10, where p_i is the probability of the i-th token
that is not a sequence's first, given those before it, and H_i the entropy of the distribution it is from.
Prints the log p_i as a JSON array and writes the loss's gradients, a tensor for each weight, to the
safetensors file GRADIENTS.
"""

import json
import math
import struct
import sys

import torch
from torch.nn import functional as F


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = torch.frombuffer(bytearray(data[start:end]), dtype=torch.float32)
            tensors[name] = values.reshape(entry["shape"]).requires_grad_()
    return tensors


def write(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        content = tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def norm(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def logits(config, weights, tokens):
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    hidden, epsilon = config["hidden_size"], config["rms_norm_eps"]
    head_dim = config.get("head_dim") or hidden // heads
    n = len(tokens)
    frequencies = config["rope_theta"] ** (-torch.arange(0, head_dim, 2).double() / head_dim)
    angles = torch.outer(torch.arange(n).double(), frequencies)
    angles = torch.cat((angles, angles), -1)
    cos, sin = angles.cos().float(), angles.sin().float()
    mask = torch.full((n, n), float("-inf")).triu(1)

    x = weights["model.embed_tokens.weight"][torch.tensor(tokens)]
    for i in range(config["num_hidden_layers"]):
        w = lambda name: weights[f"model.layers.{i}.{name}.weight"]
        split = lambda y, count: y.view(n, count, head_dim).transpose(0, 1)
        y = norm(x, w("input_layernorm"), epsilon)
        q = rotate(split(F.linear(y, w("self_attn.q_proj")), heads), cos, sin)
        k = rotate(split(F.linear(y, w("self_attn.k_proj")), kv_heads), cos, sin)
        v = split(F.linear(y, w("self_attn.v_proj")), kv_heads)
        k = k.repeat_interleave(heads // kv_heads, 0)
        v = v.repeat_interleave(heads // kv_heads, 0)
        p = (q @ k.transpose(1, 2) / math.sqrt(head_dim) + mask).softmax(-1)
        x = x + F.linear((p @ v).transpose(0, 1).reshape(n, -1), w("self_attn.o_proj"))
        y = norm(x, w("post_attention_layernorm"), epsilon)
        y = F.silu(F.linear(y, w("mlp.gate_proj"))) * F.linear(y, w("mlp.up_proj"))
        x = x + F.linear(y, w("mlp.down_proj"))
    x = norm(x, weights["model.norm.weight"], epsilon)
    tied = config.get("tie_word_embeddings", False)
    return F.linear(x, weights["model.embed_tokens.weight" if tied else "lm_head.weight"])


def main(directory, sequences, gradients):
    with open(directory + "/config.json") as file:
        config = json.load(file)
    weights = read(directory + "/model.safetensors")
    log_probs, entropies = [], []
    for tokens in json.loads(sequences):
        if len(tokens) > 1:
            said = logits(config, weights, tokens)[:-1].log_softmax(-1)
            log_probs.append(said.gather(-1, torch.tensor(tokens[1:])[:, None]).squeeze(-1))
            entropies.append(-(said.exp() * said).sum(-1))
    log_probs, entropies = torch.cat(log_probs), torch.cat(entropies)
    i = torch.arange(len(log_probs)).float()
    (i.sin() * log_probs + i.cos() * entropies / 10).sum().backward()
    write(gradients, {name: weight.grad for name, weight in weights.items()})
    print(json.dumps(log_probs.tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
