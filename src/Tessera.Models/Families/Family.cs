using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Models;

/// <summary>
/// A line of published models: how its <c>config.json</c> on the Hugging Face hub becomes <see cref="ModelOptions"/> and back, and how its
/// checkpoints name their tensors. The model itself is the same parts, whatever the family. Most are decoders: <see cref="DecoderFamily"/>.
/// <see cref="Families"/> has them all.
/// </summary>
public abstract class Family
{
    /// <summary>What people call it, such as <c>Llama</c>.</summary>
    public abstract string Name { get; }

    /// <summary>The values of <c>model_type</c> that mean this family; the first is the one written.</summary>
    public abstract IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The class that runs it in transformers, such as <c>LlamaForCausalLM</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>The architecture of GGUF files that llama.cpp runs it with; null where the parts of a model say which.</summary>
    internal virtual string? GgufArchitecture => null;

    /// <summary>How many tokens a model knows.</summary>
    /// <exception cref="InvalidDataException">It is not said.</exception>
    public virtual int Vocabulary(HuggingFaceConfig config) => config.Whole("vocab_size");

    /// <summary>The model that a <c>config.json</c> describes. What matters in training alone, such as dropout, is left to
    /// recipes.</summary>
    /// <exception cref="InvalidDataException">A value is not allowed or not supported; the message names file, key, value and what is
    /// allowed.</exception>
    public ModelOptions ReadConfig(HuggingFaceConfig config)
    {
        _ = Quantization.Read(config); // refuses what is not known
        return Read(config);
    }

    /// <summary>Fills in a <c>config.json</c> as transformers 5 writes it: all that <see cref="ReadConfig"/> reads, so that it gives the
    /// same model. The vocabulary's size and token ids are the caller's to add.</summary>
    /// <exception cref="RecipeException">This family cannot say one of the options; the message names the first.</exception>
    public void WriteConfig(ModelOptions options, JsonObject config)
    {
        if (!Has(options)) throw new RecipeException("model.kind", $"is {Parts.KindOf(options.GetType())}, which no {Name} is");
        config["architectures"] = new JsonArray(Architecture);
        config["model_type"] = ModelTypes[0];
        config["tie_word_embeddings"] = options.TieEmbeddings;
        Write(options, config);
        var back = Read(HuggingFaceConfig.Parse(config.ToJsonString(), HuggingFaceConfig.File));
        var (wanted, said) = (CanonicalOptions.Of(options), CanonicalOptions.Of(back));
        if (RecipeJson.FirstDifference(wanted, said) is not { } path) return;
        throw new RecipeException(
            $"model.{path}",
            $"is {CanonicalOptions.At(wanted, path)}, of which a {HuggingFaceConfig.File} of {Name} can only say "
            + $"{CanonicalOptions.At(said, path)}");
    }

    /// <summary>How many options of a model the family cannot say: 0 where it can say all; null where the model, or one of its parts, is of
    /// another kind than the family's.</summary>
    internal int? Unsayable(ModelOptions options)
    {
        if (!Has(options)) return null;
        var config = new JsonObject { ["tie_word_embeddings"] = options.TieEmbeddings };
        try
        {
            Write(options, config);
            var back = Read(HuggingFaceConfig.Parse(config.ToJsonString(), HuggingFaceConfig.File));
            return Differences(CanonicalOptions.Of(options), CanonicalOptions.Of(back));
        }
        catch (Exception error) when (error is RecipeException or InvalidDataException)
        {
            return null;
        }
    }

    private static int Differences(JsonNode? one, JsonNode? other) => (one, other) switch
    {
        (JsonObject left, JsonObject right) => left.Select(member => member.Key).Union(right.Select(member => member.Key))
            .Sum(key => Differences(left[key], right[key])),
        (JsonArray left, JsonArray right) when left.Count == right.Count => left.Zip(right, Differences).Sum(),
        _ => JsonNode.DeepEquals(one, other) ? 0 : 1,
    };

    /// <summary>Whether the family has models of this kind, whatever their parts are.</summary>
    public abstract bool Has(ModelOptions options);

    /// <summary>The table between our names and those of a checkpoint.</summary>
    /// <param name="options">Of a kind that the family <see cref="Has"/>.</param>
    public abstract TensorNames Names(ModelOptions options);

    /// <summary>As <see cref="Names(ModelOptions)"/>, for a checkpoint that may hold tensors in another form than they are written
    /// in.</summary>
    /// <param name="options">Of a kind that the family <see cref="Has"/>.</param>
    /// <param name="checkpoint">The file.</param>
    public virtual TensorNames Names(ModelOptions options, TensorSource checkpoint) => Names(options);

    /// <summary>The options without what the configuration announces but the checkpoint does not have.</summary>
    /// <param name="options">As <see cref="ReadConfig"/> gave them.</param>
    /// <param name="checkpoint">The file.</param>
    public virtual ModelOptions Present(ModelOptions options, TensorSource checkpoint) => options;

    /// <summary>As <see cref="ReadConfig"/>, whatever its weights are stored as.</summary>
    protected abstract ModelOptions Read(HuggingFaceConfig config);

    /// <summary>Writes what the family has keys for; what it cannot say is found by reading it back.</summary>
    /// <param name="options">Of a kind that the family <see cref="Has"/>.</param>
    /// <param name="config">The object to fill in.</param>
    /// <exception cref="RecipeException">A part is of another kind than the family's.</exception>
    protected abstract void Write(ModelOptions options, JsonObject config);
}
