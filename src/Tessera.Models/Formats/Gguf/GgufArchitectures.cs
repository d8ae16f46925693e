namespace Tessera.Models.Formats.Gguf;

/// <summary>The architectures of GGUF files that are known.</summary>
internal static class GgufArchitectures
{
    private static readonly GgufArchitecture[] s_all =
    [
        new OlmoeArchitecture(), new Qwen2MoeArchitecture(), new Glm4MoeArchitecture(), new GptOssArchitecture(),
        new GemmaArchitecture("gemma2"),
        new GemmaArchitecture("gemma3"),
        new Phi3Architecture(),
        new Olmo2Architecture(),
        new Starcoder2Architecture(),
        new GptNeoXArchitecture(),
        new GraniteArchitecture(),
        new SmolLm3Architecture(),
        new CohereArchitecture("command-r"),
        new CohereArchitecture("cohere2"),
        new LlamaArchitecture("llama"), new LlamaArchitecture("qwen2"), new LlamaArchitecture("qwen3"), new LlamaArchitecture("qwen3moe"),
        new DeepSeekArchitecture(), new Gpt2Architecture(),
    ];

    /// <summary>The architecture of a file.</summary>
    /// <exception cref="InvalidDataException">It has none, or one that is not known.</exception>
    public static GgufArchitecture Of(GgufFile file)
    {
        const string Key = GgufArchitecture.Key;
        var name = file.Text(Key)
            ?? throw new InvalidDataException($"{file.Path}: there is no metadata '{Key}', so the file holds no model");
        return Named(name) ?? throw new InvalidDataException(
            $"{file.Path}: metadata '{Key}' is '{name}': {ShownParts.Words(ShownParts.Of(file))}; allowed: {string.Join(", ", Names)}");
    }

    /// <summary>Their names.</summary>
    public static IEnumerable<string> Names => s_all.Select(known => known.Name);

    /// <summary>Whether a file's architecture is one of these.</summary>
    public static bool IsSupported(GgufFile file) => file.Text(GgufArchitecture.Key) is { } name && Named(name) is not null;

    /// <summary>The architecture that can hold a model.</summary>
    /// <param name="options">What the model is made of.</param>
    /// <param name="preferred">The name of one to choose before those that its parts would suggest; may be null or unknown.</param>
    /// <exception cref="ArgumentException">None can; the message says why for the one that comes nearest.</exception>
    public static GgufArchitecture For(DecoderOptions options, string? preferred = null)
    {
        var near = s_all.First(architecture => architecture.IsNear(options));
        var first = (preferred is null ? null : Named(preferred)) ?? near;
        if (first.WhyNot(options) is not { } problem) return first;
        return first != near && near.WhyNot(options) is null
            ? near
            : throw new ArgumentException($"this model cannot be said in GGUF's architecture {first.Name}: {problem}");
    }

    private static GgufArchitecture? Named(string name) => Array.Find(s_all, architecture => architecture.Name == name);
}
