namespace Tessera.Models.Formats.Gguf;

/// <summary>The architectures of GGUF files that are known.</summary>
internal static class GgufArchitectures
{
    private static readonly GgufArchitecture[] s_all =
    [
        new OlmoeArchitecture(), new Qwen2MoeArchitecture(), new Glm4MoeArchitecture(), new GptOssArchitecture(),
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
    /// <exception cref="ArgumentException">None can; the message says why for the one that comes nearest.</exception>
    public static GgufArchitecture For(DecoderOptions options)
    {
        var near = s_all.First(architecture => architecture.IsNear(options));
        return near.WhyNot(options) is { } problem
            ? throw new ArgumentException($"this model cannot be said in GGUF's architecture {near.Name}: {problem}")
            : near;
    }

    private static GgufArchitecture? Named(string name) => Array.Find(s_all, architecture => architecture.Name == name);
}
