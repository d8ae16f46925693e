using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Tensors;

namespace Tessera.Models.Conversion;

/// <summary>Writes a model as a Hugging Face folder: <c>config.json</c>, safetensors in one file or several with an index, and the
/// tokenizer's files.</summary>
internal static class HuggingFaceTarget
{
    private const string GenerationFile = "generation_config.json", TokenizerConfigFile = "tokenizer_config.json";
    private const int MostChecked = 1 << 22;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Files about texts, which a folder of Hugging Face's hands on as they are.
    private static readonly string[] s_textFiles =
    [
        ModelFolder.TokenizerFile, TokenizerConfigFile, GenerationFile, "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
        "vocab.json", "merges.txt",
    ];

    public static ConversionResult Write(ConversionSource source, string target, ConversionOptions options)
    {
        var (folder, decoder) = (source.Folder, source.Options);
        if (options.Type is not (null or ElementType.F32 or ElementType.BF16 or ElementType.F16))
            throw new ArgumentException($"a Hugging Face folder holds F32, BF16 or F16, not {options.Type}; GGUF files can be quantized");
        var family = folder.Family ?? Family.For(decoder);
        var config = new JsonObject();
        family.WriteConfig(decoder, config);
        var tensors = Weights.Outgoing(folder.Model, family.Names(decoder), (source.Tensors, source.Names));
        var main = options.Type ?? MainType(tensors);
        AddIds(folder, config);
        config["dtype"] = NameOf(main);

        var unfinished = $"{Path.GetFullPath(target).TrimEnd(Path.DirectorySeparatorChar)}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(unfinished);
        try
        {
            ElementType TypeIn(OutgoingTensor tensor) => TypeOf(tensor, main, options.Type is not null);
            SafetensorsFolder.Save(unfinished, tensors, TypeIn, options.MaxShardBytes, options.Progress);
            WriteTexts(folder, source.Path, unfinished);
            File.WriteAllText(Path.Combine(unfinished, ModelFolder.ConfigFile), config.ToJsonString(s_json) + "\n");
            MoveInto(unfinished, target);
            return new ConversionResult($"safetensors {family.Architecture}", tensors.Count, tensors.Sum(tensor => TypeIn(tensor).Bytes(tensor.Count)), []);
        }
        finally
        {
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        }
    }

    /// <summary>The type of most of the numbers; F32 where they are quantized.</summary>
    private static ElementType MainType(IReadOnlyList<OutgoingTensor> tensors)
    {
        var most = tensors.GroupBy(tensor => tensor.Type, (type, alike) => (Type: type, Count: alike.Sum(tensor => tensor.Count))).MaxBy(each => each.Count).Type;
        return most is ElementType.BF16 or ElementType.F16 ? most : ElementType.F32;
    }

    /// <summary>The type of one tensor: the model's, unless it is stored more finely and numbers would be lost that nobody asked to lose.</summary>
    private static ElementType TypeOf(OutgoingTensor tensor, ElementType main, bool isAsked)
    {
        if (tensor.Type == main || main == ElementType.F32) return main;
        if (tensor.Name.EndsWith("e_score_correction_bias", StringComparison.Ordinal)) isAsked = false; // small differences decide there
        if (isAsked) return main;
        return tensor.Count <= MostChecked && IsExact(tensor.Read(), main) ? main : ElementType.F32;
    }

    private static bool IsExact(Tensor values, ElementType type)
    {
        var (fine, coarse, back) = (Tensor.Allocate(values.Shape), Tensor.Allocate(values.Shape, type), Tensor.Allocate(values.Shape));
        Op.Convert(values, fine);
        Op.Convert(fine, coarse);
        Op.Convert(coarse, back);
        return fine.Bytes.SequenceEqual(back.Bytes);
    }

    private static void AddIds(ModelFolder folder, JsonObject config)
    {
        config["vocab_size"] = folder.Model.Vocabulary;
        if (!folder.HasTokenizer) return;
        config["bos_token_id"] = folder.Texts.Begin ?? folder.Tokenizer.BeginId;
        config["eos_token_id"] = folder.Texts.Ends.Count > 1 ? JsonSerializer.SerializeToNode(folder.Texts.Ends) : folder.Texts.Ends is [var end] ? end : folder.Tokenizer.EndId;
        config["pad_token_id"] = folder.Tokenizer.PaddingId;
    }

    private static string NameOf(ElementType type) => type switch
    {
        ElementType.BF16 => "bfloat16",
        ElementType.F16 => "float16",
        _ => "float32",
    };

    private static void WriteTexts(ModelFolder folder, string source, string target)
    {
        if (folder.Family is not null)
        {
            foreach (var file in s_textFiles.Where(file => File.Exists(Path.Combine(source, file)))) File.Copy(Path.Combine(source, file), Path.Combine(target, file));
            return;
        }

        if (!folder.HasTokenizer) return;
        folder.Tokenizer.Save(Path.Combine(target, ModelFolder.TokenizerFile));
        var (tokenizer, texts) = (folder.Tokenizer, new JsonObject { ["tokenizer_class"] = "PreTrainedTokenizerFast" });
        foreach (var (key, id) in ((string, int?)[])[("bos_token", folder.Texts.Begin ?? tokenizer.BeginId), ("eos_token", tokenizer.EndId), ("pad_token", tokenizer.PaddingId)])
            if (id is { } known) texts[key] = tokenizer.TokenText(known);
        if (folder.Texts.Begin is not null) texts["add_bos_token"] = true;
        if (folder.Texts.Chat is { } chat) texts["chat_template"] = chat.Source;
        File.WriteAllText(Path.Combine(target, TokenizerConfigFile), texts.ToJsonString(s_json) + "\n");
    }

    /// <summary>Gives a finished folder its name; where there is a model already, its files are replaced, the configuration last.</summary>
    private static void MoveInto(string finished, string target)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(finished, target);
            return;
        }

        var files = Directory.GetFiles(finished);
        foreach (var stale in Directory.GetFiles(target, "model*.safetensors*").Concat(s_textFiles.Select(file => Path.Combine(target, file))).Append(Path.Combine(target, ModelFolder.ConfigFile)))
            File.Delete(stale);
        foreach (var file in files.OrderBy(file => Path.GetFileName(file) == ModelFolder.ConfigFile)) File.Move(file, Path.Combine(target, Path.GetFileName(file)));
    }
}
