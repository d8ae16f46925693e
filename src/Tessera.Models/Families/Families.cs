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
        /// <exception cref="RecipeException">None can; the message says why of each.</exception>
        public static Family For(ModelOptions options, string? ggufArchitecture = null)
        {
            var reasons = new List<string>();
            bool IsOf(Family family) => ggufArchitecture is not null && family.GgufArchitecture == ggufArchitecture;
            foreach (var family in s_all.Where(family => family.Has(options)).OrderByDescending(IsOf))
            {
                try
                {
                    family.WriteConfig(options, []);
                    return family;
                }
                catch (RecipeException reason)
                {
                    reasons.Add($"{family.Name}: {reason.Message}");
                }
            }

            if (reasons.Count == 0) reasons.Add($"none is {KindOf(options)}");
            throw new RecipeException($"no family of published models is made like this one: {string.Join("; ", reasons)}");
        }
    }

    private static string KindOf(ModelOptions options) =>
        Parts.KindOf(options.GetType()) is { } kind ? $"of the kind {kind}" : $"a {options.GetType().Name}";
}
