using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Models;

/// <summary>The families that are known, and the choice of one: <c>Family.All</c>, <c>Family.Of(config)</c>,
/// <c>Family.For(options)</c>.</summary>
public static class Families
{
    private static readonly Lock s_registering = new();

    private static volatile IReadOnlyList<Family> s_all =
    [
        new Gpt2Family(), new LlamaFamily(), new MistralFamily(), new Qwen2Family(), new Qwen3Family(), new MixtralFamily(),
        new Qwen3MoeFamily(),
        new OlmoeFamily(), new Qwen2MoeFamily(), new GptOssFamily(),
        new DeepSeekV2Family(), new DeepSeekV3Family(), new Glm4MoeFamily(),
        new Gemma2Family(),
        new Gemma3Family(),
        new Phi3Family(),
        new Olmo2Family(),
        new Starcoder2Family(),
        new GptNeoXFamily(),
        new GraniteFamily(),
        new SmolLm3Family(),
        new CohereFamily(),
        new Cohere2Family(),
    ];

    extension(Family)
    {
        /// <summary>All families, the simpler before the richer; then those registered.</summary>
        public static IReadOnlyList<Family> All => s_all;

        /// <summary>Makes a family of another assembly known. To do so again changes nothing.</summary>
        /// <exception cref="ArgumentException">Another family has its name or one of its model types.</exception>
        public static void Register(Family family)
        {
            lock (s_registering)
            {
                foreach (var known in s_all)
                {
                    if (known.GetType() == family.GetType()) return;
                    if (known.Name == family.Name)
                        throw new ArgumentException(
                            $"{family.GetType()} cannot be registered: the name {family.Name} is {known.GetType()}'s");
                    if (known.ModelTypes.Intersect(family.ModelTypes).FirstOrDefault() is { } taken)
                        throw new ArgumentException($"{family.GetType()} cannot be registered: the model type {taken} is {known.Name}'s");
                }

                s_all = [.. s_all, family];
            }
        }

        /// <summary>The family of a <c>config.json</c>, by its <c>model_type</c>.</summary>
        /// <exception cref="InvalidDataException">No family here has this type; the message lists those there are.</exception>
        public static Family Of(HuggingFaceConfig config) => s_all.FirstOrDefault(family => family.ModelTypes.Contains(config.ModelType))
            ?? throw config.Problem(
                "model_type", config.ModelType is { } type ? $"{type}: {ShownParts.Words(ShownParts.Of(config))}" : "missing",
                string.Join(", ", s_all.SelectMany(family => family.ModelTypes)));

        /// <summary>Whether a family here has the <c>model_type</c> of a <c>config.json</c>.</summary>
        public static bool Knows(HuggingFaceConfig config) => s_all.Any(family => family.ModelTypes.Contains(config.ModelType));

        /// <summary>The first family that can say these options.</summary>
        /// <param name="options">What a model is made of.</param>
        /// <param name="ggufArchitecture">Families of this architecture of GGUF files come before others; may be null.</param>
        /// <exception cref="RecipeException">None can; the message says why for the one that comes nearest.</exception>
        public static Family For(ModelOptions options, string? ggufArchitecture = null)
        {
            var tried = Family.Fits(options);
            if (tried.Where(own => own.Reason is null).MaxBy(IsOf) is { } fit) return fit.Family;
            var why = tried.MinBy(own => own.Distance) is { } nearest
                ? $"; {nearest.Family.Name} comes nearest, but {nearest.Reason}"
                : $": none is {KindOf(options)}";
            throw new RecipeException("no family of published models is made like this one" + why);

            bool IsOf(FamilyFit own) => ggufArchitecture is not null && own.Family.GgufArchitecture == ggufArchitecture;
        }

        /// <summary>The simplest family that can say these options; null where none can.</summary>
        internal static Family? Simplest(ModelOptions options) => s_all.FirstOrDefault(family => family.Unsayable(options) == 0);

        /// <summary>What each family of the model's kind says to these options.</summary>
        public static IReadOnlyList<FamilyFit> Fits(ModelOptions options) =>
            [.. s_all.Where(family => family.Has(options)).Select(family => FitOf(family, options))];
    }

    private static FamilyFit FitOf(Family family, ModelOptions options)
    {
        var config = new JsonObject();
        try
        {
            family.WriteConfig(options, config);
            return new FamilyFit(family, null, 0);
        }
        catch (RecipeException reason)
        {
            return new FamilyFit(family, reason.Message, family.Unsayable(options) ?? DistanceOf(reason.Path, config.Count));
        }
    }

    /// <summary>Another mixer is farther away than another feed-forward, and both than an option of another value; among equals that family
    /// is nearest which wrote most before it came upon what it cannot say.</summary>
    private static int DistanceOf(string path, int written)
    {
        var part = path.EndsWith(".kind", StringComparison.Ordinal) ? path[..^".kind".Length] : path;
        return (part == "model.decoder.attention" ? 3000 : part == "model.decoder.feedForward" ? 2000 : 1001) - Math.Min(written, 999);
    }

    private static string KindOf(ModelOptions options) =>
        Parts.KindOf(options.GetType()) is { } kind ? $"of the kind {kind}" : $"a {Parts.NameOf(options)}";
}

/// <summary>Whether a family can say the options of a model.</summary>
/// <param name="Family">The family.</param>
/// <param name="Reason">Why not; null where it can.</param>
/// <param name="Distance">How far the model is from it; 0 where it can.</param>
public sealed record FamilyFit(Family Family, string? Reason, int Distance);
