using Tessera.Tensors;

namespace Tessera.Models.Conversion;

/// <summary>How a model is to be written.</summary>
public sealed record ConversionOptions
{
    /// <summary>The type of its matrices; null to keep each in the type it is stored in.</summary>
    public ElementType? Type { get; init; }

    /// <summary>How many bytes of tensors a safetensors file may have, where more than one tensor is in it; above 0.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>What llama.cpp calls the pre-tokenizer, for tokenizers of which it cannot be told; null to find it.</summary>
    public string? PreTokenizer { get; init; }

    /// <summary>Whether a file or a model that is there already is replaced.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Is told the bytes of tensors written so far and in all.</summary>
    public IProgress<(long Written, long All)>? Progress { get; init; }
}

/// <summary>What came of a conversion.</summary>
/// <param name="Format">What was written: <c>gguf llama</c>, <c>safetensors LlamaForCausalLM</c>.</param>
/// <param name="Tensors">How many tensors.</param>
/// <param name="Bytes">How many bytes they take.</param>
/// <param name="Notes">What the format could not say, for people to know.</param>
public sealed record ConversionResult(string Format, int Tensors, long Bytes, IReadOnlyList<string> Notes);
