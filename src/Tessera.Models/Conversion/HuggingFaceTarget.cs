using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Conversion;

/// <summary>Writes a model as a Hugging Face folder: <c>config.json</c>, safetensors in one file or several with an index, and the
/// tokenizer's files.</summary>
internal static class HuggingFaceTarget
{
    private const string TokenizerConfigFile = "tokenizer_config.json";
    private const int MaxChecked = 1 << 22;

    private static readonly string[] s_ids = ["bos_token_id", "eos_token_id", "pad_token_id"];

    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes a model.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="weights">The tensors that its weights still are, to be copied without being held; null where they have changed.</param>
    /// <param name="target">The folder.</param>
    /// <param name="options">How to write.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="Nn.RecipeException">The model's family, or any, cannot say it.</exception>
    public static ConversionResult Write(
        ModelFolder folder, (TensorSource Tensors, TensorNames Names)? weights, string target, ConversionOptions options,
        CancellationToken cancellation)
    {
        if (options.Type is not (null or ElementType.F32 or ElementType.BF16 or ElementType.F16))
            throw new ArgumentException($"a Hugging Face folder holds F32, BF16 or F16, not {options.Type}; GGUF files can be quantized");
        var (model, architecture) = (folder.Config.Model, (folder.Source as GgufFile)?.Text(GgufModel.ArchitectureKey));
        var (family, said, names, notes) = folder.Family is { } own
            ? new FoldedScales(own, model, own.Names(model), [])
            : FoldedScales.Of(model, architecture);
        var config = new JsonObject();
        family.WriteConfig(said, config);
        var tensors = Weights.Outgoing(folder.Model, names, weights);
        var main = options.Type ?? MainType(tensors);
        var types = tensors.ToDictionary(tensor => tensor, tensor => TypeOf(tensor, main, options.Type is not null));
        AddIds(folder, config);
        AddFeedForwardWidth(folder.Source, config);
        notes = [.. notes, .. LostSettings.InFolder(folder, config)];
        config["dtype"] = NameOf(main);
        WholeFolder.Write(target, unfinished =>
        {
            SafetensorsFolder.Save(unfinished, tensors, tensor => types[tensor], options.MaxShardBytes, options.Progress, cancellation);
            WriteTexts(folder, unfinished);
            File.WriteAllText(Path.Combine(unfinished, ModelFolder.ConfigFile), config.ToJsonString(s_json) + "\n");
        });
        return new ConversionResult(
            $"safetensors {family.Architecture}", tensors.Count, types.Sum(each => each.Value.Bytes(each.Key.Count)), notes);
    }

    /// <summary>The type of most of the numbers; F32 where they are quantized.</summary>
    private static ElementType MainType(IReadOnlyList<OutgoingTensor> tensors)
    {
        var max = tensors.GroupBy(
            tensor => tensor.Type, (type, alike) => (Type: type, Count: alike.Sum(tensor => tensor.Count))).MaxBy(each => each.Count).Type;
        return max is ElementType.BF16 or ElementType.F16 ? max : ElementType.F32;
    }

    /// <summary>The type of one tensor: the model's, unless it is stored more finely and numbers would be lost that nobody asked to
    /// lose.</summary>
    private static ElementType TypeOf(OutgoingTensor tensor, ElementType main, bool isAsked)
    {
        if (tensor.Type == main || main == ElementType.F32) return main;
        if (tensor.Name.EndsWith("e_score_correction_bias", StringComparison.Ordinal)) isAsked = false; // small differences decide there
        if (isAsked) return main;
        return tensor.Count <= MaxChecked && IsExact(tensor.Read(), main) ? main : ElementType.F32;
    }

    private static bool IsExact(Tensor values, ElementType type)
    {
        var (fine, coarse, back) = (Tensor.Allocate(values.Shape), Tensor.Allocate(values.Shape, type), Tensor.Allocate(values.Shape));
        Op.Convert(values, fine);
        Op.Convert(fine, coarse);
        Op.Convert(coarse, back);
        var isExact = fine.Bytes.SequenceEqual(back.Bytes);
        GC.KeepAlive(fine); // a span does not keep its memory
        GC.KeepAlive(back);
        return isExact;
    }

    private static void AddIds(ModelFolder folder, JsonObject config)
    {
        config["vocab_size"] = folder.Model.Vocabulary;
        if (folder.Family is not null)
        {
            using var source = PythonJson.Parse(File.ReadAllText(Path.Combine(folder.Path!, ModelFolder.ConfigFile)));
            foreach (var key in s_ids)
                if (source.RootElement.TryGetProperty(key, out var id)) config[key] = JsonNode.Parse(id.GetRawText());
            return;
        }

        if (!folder.HasTokenizer) return;
        var format = folder.PromptFormat;
        config["bos_token_id"] = format.BosToken ?? folder.Tokenizer.BeginId;
        config["eos_token_id"] = format.StopTokens.Count > 1
            ? JsonSerializer.SerializeToNode(format.StopTokens)
            : format.EosToken ?? folder.Tokenizer.EndId;
        config["pad_token_id"] = folder.Tokenizer.PaddingId;
    }

    /// <summary>The width that a GGUF file names of dense layers, where the model has experts alone and its own options do not know
    /// it.</summary>
    private static void AddFeedForwardWidth(TensorSource? source, JsonObject config)
    {
        if (source is not GgufFile file || !config.ContainsKey("moe_intermediate_size")) return;
        if (file.Whole($"{file.Text(GgufArchitecture.Key)}.{GgufArchitecture.Hidden}") is { } width) config["intermediate_size"] = width;
    }

    private static string NameOf(ElementType type) => type switch
    {
        ElementType.BF16 => "bfloat16",
        ElementType.F16 => "float16",
        _ => "float32",
    };

    private static void WriteTexts(ModelFolder folder, string target)
    {
        if (folder.Family is not null)
        {
            WholeFolder.CopyTexts(folder.Path!, target);
            if (folder.Adapters is not null) PromptFiles.Write(target, folder.PromptFormat, chats: true);
            return;
        }

        if (!folder.HasTokenizer) return;
        folder.Tokenizer.Save(Path.Combine(target, ModelFolder.TokenizerFile));
        var (tokenizer, format) = (folder.Tokenizer, folder.PromptFormat);
        var texts = new JsonObject { ["tokenizer_class"] = "PreTrainedTokenizerFast" };
        foreach (var (key, token) in tokenizer.NamedRoles.Named) texts[key] = token;
        (string, int?)[] roles =
            [("bos_token", format.BosToken ?? tokenizer.BeginId), ("eos_token", tokenizer.EndId), ("pad_token", tokenizer.PaddingId)];
        foreach (var (key, id) in roles)
            if (id is { } known) texts[key] = tokenizer.TokenText(known);
        if (tokenizer.NamedRoles.Additional is { Count: > 0 } additional)
            texts["additional_special_tokens"] = new JsonArray([.. additional.Select(token => (JsonNode)token)]);
        if (format.BosToken is not null) texts["add_bos_token"] = true;
        if (format.ChatTemplate is { } chat) texts["chat_template"] = chat.Source;
        PromptFiles.Write(target, format, chats: false);
        File.WriteAllText(Path.Combine(target, TokenizerConfigFile), texts.ToJsonString(s_json) + "\n");
        // Its own file says itself what stands around texts, for readers that do not look beside it.
        Tokenizer.Load(target).Save(target);
    }
}
