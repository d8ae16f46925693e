using System.Text;
using Tessera.Evaluation.Metrics;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Recipes;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class TextPerplexityTests
{
    private const string Text = "The quick brown fox jumps over the lazy dog; größer als 3.\nAnd once more: the quick brown fox.";

    private static readonly Tokenizer s_tokenizer = BytePairTrainer.Train(
        [Text], new BytePairTrainerOptions(280, SpecialTokens: SpecialTokens.Texts));

    [Theory]
    [InlineData(16, 8)]
    [InlineData(16, 5)]
    [InlineData(16, 15)]
    [InlineData(7, 1)]
    [InlineData(2, 1)]
    [InlineData(500, 250)]
    public void Each_token_is_predicted_once_from_the_window_before_it(int context, int stride)
    {
        var model = Model();
        var (nats, tokens, windows) = Expected(model, [SpecialTokens.Begin, .. s_tokenizer.EncodeOrdinary(Text)], context, stride);
        var found = TextPerplexity.Measure(model, Text, context, stride);
        Assert.Equal((tokens, windows), (found.Total.Tokens, found.Windows));
        Assert.Equal(s_tokenizer.EncodeOrdinary(Text).Length, tokens);
        Assert.Equal(nats, found.Total.Nats, 1e-5 * nats);
        Assert.Equal(Encoding.UTF8.GetByteCount(Text), found.Total.Bytes);
        Assert.Equal(nats / Math.Log(2) / Encoding.UTF8.GetByteCount(Text), found.Total.BitsPerByte, 1e-5);
        Assert.Equal(found.Total.Tokens, found.Passes.Sum(pass => pass.Tokens));
    }

    [Fact]
    public void Without_a_begin_token_the_first_token_and_its_bytes_are_not_predicted()
    {
        var model = Model() with { PromptFormat = new PromptFormat { StopTokens = [SpecialTokens.End] } };
        var ids = s_tokenizer.EncodeOrdinary(Text);
        var (nats, tokens, _) = Expected(model, ids, 16, 8);
        var found = TextPerplexity.Measure(model, Text, 16, 8).Total;
        Assert.Equal((ids.Length - 1, tokens), (found.Tokens, found.Tokens));
        Assert.Equal(nats, found.Nats, 1e-5 * nats);
        Assert.Equal(Encoding.UTF8.GetByteCount(Text) - Encoding.UTF8.GetByteCount(s_tokenizer.Decode([ids[0]])), found.Bytes);
        Assert.Equal(0, TextPerplexity.Measure(model, "", 16, 8).Total.Tokens);
    }

    [Fact]
    public void Windows_out_of_range_and_models_that_are_no_decoders_are_refused()
    {
        var model = Model();
        Assert.Equal(
            "context is 1; allowed: at least 2, at most 4096",
            Message<ArgumentException>(() => TextPerplexity.Measure(model, Text, 1, 1)));
        foreach (var stride in (int[])[0, 16])
            Assert.Equal(
                $"stride is {stride}; allowed: 1 to 15, below context",
                Message<ArgumentException>(() => TextPerplexity.Measure(model, Text, 16, stride)));
        var small = Model(positions: 32);
        Assert.Equal(
            "context is 33; allowed: at least 2, at most 32", Message<ArgumentException>(() => TextPerplexity.Measure(small, Text, 33, 1)));
        Assert.True(TextPerplexity.Measure(small, Text, 32, 16).Total.Value > 1);

        static string Message<T>(Action measure) where T : Exception => Assert.Throws<T>(measure).Message;
    }

    /// <summary>Window by window and token by token, in double precision.</summary>
    private static (double Nats, long Tokens, long Windows) Expected(ModelFolder model, int[] ids, int context, int stride)
    {
        var (nats, tokens, windows, done) = (0.0, 0L, 0L, 1);
        for (var begin = 0; ; begin += stride)
        {
            using var scope = Arena.Current.Scope();
            var end = Math.Min(begin + context, ids.Length);
            var session = new DecodingSession(model.Model);
            var sequence = session.Add();
            windows++;
            for (var i = begin; i < end - 1; i++)
            {
                sequence.Read(ids[i]);
                var logits = session.Step().Floats.ToArray();
                if (i + 1 < done) continue;
                nats += Math.Log(logits.Sum(logit => Math.Exp(logit))) - logits[ids[i + 1]];
                tokens++;
            }

            done = end;
            if (end == ids.Length) return (nats, tokens, windows);
        }
    }

    private static ModelFolder Model(int positions = 4096)
    {
        var options = RecipeJson.Read<ModelOptions>(RecipeJson.Parse($$"""
            { "kind": "decoder", "width": 16, "decoder": { "layers": 2,
              "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary", "positions": {{positions}} } },
              "feedForward": { "kind": "swiglu", "hidden": 16 } } }
            """, "test"));
        var config = new ModelConfig { Model = options, Vocabulary = s_tokenizer.VocabularySize, Length = 32, SourceLength = 0 };
        return new ModelFolder(config, s_tokenizer, options.Build(config.Vocabulary, seed: 3));
    }
}
