using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Tensors;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;
using Tessera.Training;

namespace Tessera.Benchmarks.Fuzz;

/// <summary>One reader, and whole files of its format to damage.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="Seeds">Files; where <paramref name="InFolder"/>, with all that lies beside them.</param>
/// <param name="Read">Reads the file, or the folder, and everything that it promises.</param>
/// <param name="InFolder">Whether the reader is given the file's folder.</param>
/// <param name="NamesFile">Whether errors name the file: all readers of files do.</param>
internal sealed record FuzzSubject(
    string Name, IReadOnlyList<string> Seeds, Action<string> Read, bool InFolder = false, bool NamesFile = true)
{
    private const string Text = "Hello  wörld <s> 你好 ▁ 😀\nfor (var i = 0; i < 10; i++) {}";

    private static readonly Dictionary<string, byte[]> s_files = [];

    /// <summary>All readers, with seeds from the folder of reference outputs.</summary>
    public static IReadOnlyList<FuzzSubject> All(string fixtures)
    {
        var hf = Path.Combine(fixtures, "hf");
        string[] Find(string folder, string pattern) =>
            [.. Directory.GetFiles(Path.Combine(fixtures, folder), pattern, SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        string[] Model(string name) =>
            Directory
                .GetFiles(Path.Combine(hf, name))
                .Where(file =>
                    !Path.GetFileName(file).StartsWith("expected", StringComparison.Ordinal)
                    && !file.EndsWith("case.json", StringComparison.Ordinal)
                )
                .ToArray();
        return
        [
            new("safetensors", [.. Find("torch/conversions", "*.safetensors"), Path.Combine(hf, "gpt2", "model.safetensors")], path =>
                Touch(SafetensorsFile.Open(path))
            ),
            new(
                "safetensors index", Find("hf/qwen3-sharded-bf16", "*.index.json"), folder => Touch(TensorSource.Open(folder)),
                InFolder: true),
            new("gguf", Find("gguf/models", "*.gguf"), ReadGguf),
            new("tokenizer.json", Find("tokenizers", "tokenizer.json"), ReadTokenizer),
            new("tokenizer.model", Find("tokenizers", "tokenizer.model"), ReadTokenizer),
            new("tiktoken", Find("tokenizers", "*.tiktoken"), path =>
                Use(Tokenizer.LoadTiktoken(path, [@"\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+|\s+"]))
            ),
            new("chat template", Find("templates", "*.jinja"), path => Render(File.ReadAllText(path)), NamesFile: false),
            new("config.json", Find("hf", "config.json"), ReadConfig),
            new(
                "Hugging Face folder", [.. Model("llama"), .. Model("deepseek-v3-mtp"), .. Model("qwen3-sharded-bf16")],
                folder => Run(ModelFolder.Load(folder)), InFolder: true),
            new("adapter", [.. Model("llama-lora")], folder => ReadAdapter(folder, Path.Combine(hf, "llama")), InFolder: true),
            new("recipe", Recipes(), path => Recipe.Load(path), NamesFile: false),
        ];
    }

    /// <summary>Writes a damaged seed, with what lies beside it where the reader is given a folder.</summary>
    /// <returns>What the reader is given.</returns>
    public string Damage(string folder, Random random)
    {
        var seed = Seeds[random.Next(Seeds.Count)];
        var target = Path.Combine(folder, Path.GetFileName(seed));
        if (InFolder)
        {
            target = Path.Combine(folder, Path.GetFileName(Path.GetDirectoryName(seed))!);
            if (!Directory.Exists(target)) Directory.CreateDirectory(target);
            foreach (var file in Directory.GetFiles(Path.GetDirectoryName(seed)!))
                Write(Path.Combine(target, Path.GetFileName(file)), Whole(file));
            Write(Path.Combine(target, Path.GetFileName(seed)), Mutation.Of(Whole(seed), random));
            return target;
        }

        Write(target, Mutation.Of(Whole(seed), random));
        return target;
    }

    /// <summary>The recipes of the checkout that the program is run in.</summary>
    private static string[] Recipes()
    {
        for (var place = new DirectoryInfo(Environment.CurrentDirectory); place is not null; place = place.Parent)
            if (Path.Combine(place.FullName, "recipes") is var folder && Directory.Exists(folder))
                return Directory.GetFiles(folder, "*.json");
        throw new DirectoryNotFoundException("fuzz: no folder recipes here or above");
    }

    private static byte[] Whole(string path) => s_files.TryGetValue(path, out var bytes) ? bytes : s_files[path] = File.ReadAllBytes(path);

    /// <summary>As another file under the name: one that is still mapped keeps what it had.</summary>
    private static void Write(string path, byte[] bytes)
    {
        File.Delete(path);
        File.WriteAllBytes(path, bytes);
    }

    private static void Touch(TensorSource source)
    {
        using (source)
        {
            foreach (var tensor in source.Tensors.Values)
            {
                var piece = new byte[Math.Min(tensor.ByteCount, 4096)];
                source.ReadBytes(tensor.Name, piece);
                source.ReadBytes(tensor.Name, piece, tensor.ByteCount - piece.Length);
            }
        }
    }

    private static void ReadGguf(string path)
    {
        using (var file = GgufFile.Open(path)) Use(GgufTokenizer.Read(file));
        Run(ModelFolder.Load(path));
    }

    private static void ReadTokenizer(string path) => Use(Tokenizer.Load(path));

    private static void Use(Tokenizer tokenizer) => tokenizer.Decode(tokenizer.EncodeSequence(Text));

    private static void Render(string source) => ChatTemplate.Parse(source).Render(new ChatInput
                {
                    Messages =
                    [
                        new JsonObject { ["role"] = "user", ["content"] = "Hi" },
                        new JsonObject { ["role"] = "assistant", ["content"] = "Hello" },
                    ],
                });

    /// <summary>The options of the family, and a model of them, whose weights are never drawn.</summary>
    private static void ReadConfig(string path)
    {
        var config = HuggingFaceConfig.Load(path);
        var family = Family.Of(config);
        var options = family.ReadConfig(config);
        options.Build(config.Whole("vocab_size"), seed: 0);
        family.Names(options);
    }

    private static void ReadAdapter(string folder, string baseModel)
    {
        var loaded = ModelFolder.Load(baseModel);
        PeftAdapter.Load(folder, loaded.Model, loaded.Family!.Names((DecoderOptions)loaded.Config.Model));
        Run(loaded);
    }

    /// <summary>A pass of the model over a few tokens, so that every weight is touched.</summary>
    private static void Run(ModelFolder folder)
    {
        using var scope = Arena.Current.Scope();
        var model = folder.Model;
        var length = Math.Min(4, model.LongestSequence);
        var inputs = Tensor.Temporary([1, length], ElementType.I32);
        for (var i = 0; i < length; i++) inputs.Ints[i] = i % model.Vocabulary;
        var positions = Batch.PositionsFromStart(1, length);
        model.Logits(Batch.Of(inputs, inputs, positions), Tessera.Nn.ForwardContext.At(positions));
    }
}
