using System.Collections.Frozen;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// What a tokenizer's class in transformers takes for granted where <c>tokenizer_config.json</c> says nothing: its special tokens, and
/// whether it puts its own in place of what <c>tokenizer.json</c> puts around a text.
/// </summary>
/// <param name="AddsBegin">Whether texts begin with the begin token; null for what the file says.</param>
/// <param name="AddsEnd">Whether they end with the end token; null for what the file says.</param>
/// <param name="Roles">The special tokens by the names of their roles.</param>
internal sealed record TokenizerClass(bool? AddsBegin, bool? AddsEnd, FrozenDictionary<string, string> Roles)
{
    private const string FastSuffix = "Fast", Suffix = "Tokenizer";

    private static readonly TokenizerClass _bert = new(
        null, null, Names(("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("cls", "[CLS]"), ("mask", "[MASK]")));

    private static readonly TokenizerClass _llama =
        new(AddsBegin: true, AddsEnd: false, Names(("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>")));

    private static readonly TokenizerClass _gpt2 =
        new(null, null, Names(("bos", "<|endoftext|>"), ("eos", "<|endoftext|>"), ("unk", "<|endoftext|>")));

    private static readonly Dictionary<string, TokenizerClass> _all = new(StringComparer.Ordinal)
    {
        ["Llama"] = _llama, ["CodeLlama"] = _llama,
        ["Gemma"] = new(
            AddsBegin: true, AddsEnd: false, Names(("bos", "<bos>"), ("eos", "<eos>"), ("unk", "<unk>"), ("pad", "<pad>"))),
        ["Cohere"] = new(
            AddsBegin: true, AddsEnd: false,
            Names(("bos", "<BOS_TOKEN>"), ("eos", "<|END_OF_TURN_TOKEN|>"), ("unk", "<UNK>"), ("pad", "<PAD>"), ("cls", "<CLS>"))),
        ["GPT2"] = _gpt2, ["GPTNeoX"] = _gpt2, ["CodeGen"] = _gpt2,
        ["Qwen2"] = new(null, null, Names(("eos", "<|endoftext|>"), ("unk", "<|endoftext|>"), ("pad", "<|endoftext|>"))),
        ["T5"] = new(AddsBegin: false, AddsEnd: true, Names(("eos", "</s>"), ("unk", "<unk>"), ("pad", "<pad>"))),
        ["CLIP"] = new(
            null, null,
            Names(("bos", "<|startoftext|>"), ("eos", "<|endoftext|>"), ("unk", "<|endoftext|>"), ("pad", "<|endoftext|>"))),
        ["OpenAIGPT"] = new(null, null, Names(("unk", "<unk>"))),
        ["Bert"] = _bert, ["DistilBert"] = _bert,
        ["Roberta"] = new(
            null, null,
            Names(
                ("bos", "<s>"), ("eos", "</s>"), ("sep", "</s>"), ("cls", "<s>"), ("unk", "<unk>"), ("pad", "<pad>"),
                ("mask", "<mask>"))),
    };

    /// <summary>The class of a name such as <c>LlamaTokenizerFast</c>; null where it takes nothing for granted that is known
    /// here.</summary>
    public static TokenizerClass? Of(string? name)
    {
        if (name is null) return null;
        if (name.EndsWith(FastSuffix, StringComparison.Ordinal)) name = name[..^FastSuffix.Length];
        return name.EndsWith(Suffix, StringComparison.Ordinal) ? _all.GetValueOrDefault(name[..^Suffix.Length]) : null;
    }

    private static FrozenDictionary<string, string> Names(params (string Role, string Token)[] roles) =>
        roles.ToFrozenDictionary(role => role.Role + "_token", role => role.Token, StringComparer.Ordinal);
}
