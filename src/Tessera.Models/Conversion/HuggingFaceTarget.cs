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
    private const string TokenizerConfigFile = "tokenizer_config.json";
    private const int MaxChecked = 1 << 22;

    private static readonly string[] s_ids = ["bos_token_id", "eos_token_id", "pad_token_id"];

    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes the model of a conversion.</summary>
    public static ConversionResult Write(ConversionSource source, string target, ConversionOptions options, CancellationToken cancellation)
    {
        if (options.Type is not (null or ElementType.F32 or ElementType.BF16 or ElementType.F16))
            throw new ArgumentException($"a Hugging Face folder holds F32, BF16 or F16, not {options.Type}; GGUF files can be quantized");
        return Write(source.Folder, source.Options, (source.Tensors, source.Names), target, options, cancellation);
    }

    /// <summary>Writes the weights that a model has now, as F32.</summary>
    /// <exception cref="Nn.RecipeException">The model's family cannot say it.</exception>
    public static void Save(ModelFolder folder, string target) =>
        Write(folder, folder.Config.Model, source: null, target, new ConversionOptions { Type = ElementType.F32 }, CancellationToken.None);

    private static ConversionResult Write(
        ModelFolder folder, ModelOptions model, (TensorSource Tensors, TensorNames Names)? source, string target, ConversionOptions options,
        CancellationToken cancellation)
    {
        var family = folder.Family ?? Family.For(model);
        var config = new JsonObject();
        family.WriteConfig(model, config);
        var tensors = Weights.Outgoing(folder.Model, family.Names(model), source);
        var main = options.Type ?? MainType(tensors);
        var types = tensors.ToDictionary(tensor => tensor, tensor => TypeOf(tensor, main, options.Type is not null));
        AddIds(folder, config);
        config["dtype"] = NameOf(main);
        WholeFolder.Write(target, unfinished =>
        {
            SafetensorsFolder.Save(unfinished, tensors, tensor => types[tensor], options.MaxShardBytes, options.Progress, cancellation);
            WriteTexts(folder, unfinished);
            File.WriteAllText(Path.Combine(unfinished, ModelFolder.ConfigFile), config.ToJsonString(s_json) + "\n");
        });
        return new ConversionResult(
            $"safetensors {family.Architecture}", tensors.Count, types.Sum(each => each.Value.Bytes(each.Key.Count)), []);
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
            var source = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path!, ModelFolder.ConfigFile)))!.AsObject();
            foreach (var key in s_ids.Where(source.ContainsKey)) config[key] = source[key]?.DeepClone();
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
            return;
        }

        if (!folder.HasTokenizer) return;
        folder.Tokenizer.Save(Path.Combine(target, ModelFolder.TokenizerFile));
        var (tokenizer, format) = (folder.Tokenizer, folder.PromptFormat);
        var texts = new JsonObject { ["tokenizer_class"] = "PreTrainedTokenizerFast" };
        (string, int?)[] roles =
            [("bos_token", format.BosToken ?? tokenizer.BeginId), ("eos_token", tokenizer.EndId), ("pad_token", tokenizer.PaddingId)];
        foreach (var (key, id) in roles)
            if (id is { } known) texts[key] = tokenizer.TokenText(known);
        if (format.BosToken is not null) texts["add_bos_token"] = true;
        if (format.ChatTemplate is { } chat) texts["chat_template"] = chat.Source;
        PromptFiles.Write(target, format, chats: false);
        File.WriteAllText(Path.Combine(target, TokenizerConfigFile), texts.ToJsonString(s_json) + "\n");
    }
}
