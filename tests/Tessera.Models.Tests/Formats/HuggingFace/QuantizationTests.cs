using System.Text.Json.Nodes;
using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Verification;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.HuggingFace;

/// <summary>Checkpoints in few bits, against what their numbers and scales stand for: Fixtures/quantized, by
/// Fixtures/families/make_moe_families.py.</summary>
public sealed class QuantizationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Cases { get; } =
        [.. Directory.GetDirectories(Fixture.Local("quantized")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_quantized_checkpoint_computes_what_its_numbers_times_its_scales_do(string name)
    {
        var found = ModelVerification.Run(Fixture.Local($"quantized/{name}"));
        Assert.True(found.Passes(2e-5, 2e-5), found.ToString());
        Assert.NotNull(found.Logits);
        Assert.NotNull(found.LongLogits);
        Assert.NotNull(found.PaddedLogits);
        Assert.Equal(12, found.GreedyEqual);
    }

    [Theory]
    [InlineData("fp8-blocks", "decoder.layers.1.feed_forward.experts.up_proj", ElementType.BF16)]
    [InlineData("fp8-rows", "decoder.layers.0.attention.q_proj.weight", ElementType.BF16)]
    [InlineData("gpt-oss-mxfp4", "decoder.layers.0.feed_forward.experts.gate_proj", ElementType.MXFP4)]
    [InlineData("gpt-oss-mxfp4", "decoder.layers.1.feed_forward.experts.down_proj", ElementType.MXFP4)]
    public void Weights_as_they_are_stored_are_in_few_bits_and_the_same_numbers(string name, string parameter, ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var (exact, stored) = (Weight(name, parameter, asStored: false), Weight(name, parameter, asStored: true));
        Assert.Equal((ElementType.F32, type), (exact.Type, stored.Type));
        var (expected, found) = (exact.ToArray(), Op.Convert(stored, ElementType.F32).ToArray());
        if (type == ElementType.MXFP4) Assert.Equal(expected, found);
        else Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, Math.Abs(pair.First) / 256)); // half a BF16 step
    }

    [Fact]
    public void Experts_in_MXFP4_are_written_to_GGUF_as_they_are_and_come_back()
    {
        var (source, gguf) = (Fixture.Local("quantized/gpt-oss-mxfp4"), _folder.File("moe.gguf"));
        ModelConversion.Convert(source, gguf, new ConversionOptions());
        using var file = GgufFile.Open(gguf);
        Assert.Equal(GgufType.MXFP4, file.Entries["blk.1.ffn_up_exps.weight"].Type);
        Assert.Equal(GgufType.F32, file.Entries["blk.1.ffn_up_exps.bias"].Type);
        using var scope = Arena.Current.Scope();
        var (there, back) = (ModelFolder.Load(source), ModelFolder.Load(gguf));
        Assert.Equal(CanonicalOptions.Of(there.Config.Model).ToJsonString(), CanonicalOptions.Of(back.Config.Model).ToJsonString());
        foreach (var (own, other) in there.Model.Parameters().Zip(back.Model.Parameters()))
            Assert.Equal(own.Parameter.Value.ToArray(), other.Parameter.Value.ToArray());
    }

    [Fact]
    public void A_quantized_checkpoint_is_written_as_one_that_is_not()
    {
        foreach (var (name, type) in new[] { ("fp8-blocks", ElementType.BF16), ("gpt-oss-mxfp4", ElementType.BF16), ("gpt-oss-mxfp4", (ElementType?)null) })
        {
            var (source, plain) = (Fixture.Local($"quantized/{name}"), _folder.File($"{name}-{type}"));
            ModelConversion.Convert(source, plain, new ConversionOptions { Type = type });
            var config = JsonNode.Parse(File.ReadAllText(Path.Combine(plain, "config.json")))!;
            Assert.Null(config["quantization_config"]);
            Assert.Equal("bfloat16", (string?)config["dtype"]);
            using var scope = Arena.Current.Scope();
            var (there, back) = (ModelFolder.Load(source), ModelFolder.Load(plain));
            foreach (var (own, other) in there.Model.Parameters().Zip(back.Model.Parameters()))
                foreach (var (expected, found) in own.Parameter.Value.ToArray().Zip(other.Parameter.Value.ToArray()))
                    Assert.Equal(expected, found, Math.Abs(expected) / 256);
        }
    }

    [Theory]
    [InlineData("{ \"quant_method\": \"gptq\" }", "quant_method is gptq; allowed: fp8, mxfp4, compressed-tensors of the format float-quantized, or weights that are not quantized")]
    [InlineData("{}", "quant_method is missing; allowed: fp8, mxfp4, compressed-tensors of the format float-quantized, or weights that are not quantized")]
    [InlineData("{ \"quant_method\": \"fp8\", \"weight_block_size\": [128] }", "weight_block_size is [128]; allowed: two whole numbers above 0")]
    [InlineData("{ \"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\" }", "format is pack-quantized; allowed: float-quantized")]
    [InlineData("{ \"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\", \"config_groups\": { \"group_0\": { \"weights\": { \"num_bits\": 4 } } } }", "config_groups.group_0.weights.num_bits is 4; allowed: 8")]
    [InlineData("{ \"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\", \"kv_cache_scheme\": {} }", "kv_cache_scheme is an object; allowed: null")]
    public void What_is_not_known_is_refused_by_name(string said, string message)
    {
        var config = HuggingFaceConfig.Parse($"{{ \"model_type\": \"llama\", \"quantization_config\": {said} }}", "config.json");
        var error = Assert.Throws<InvalidDataException>(() => Family.Of(config).ReadConfig(config));
        Assert.Equal($"config.json: quantization_config.{message}", error.Message);
    }

    [Theory]
    [InlineData("fp8-blocks", "\"weight_block_size\": [\n   5,", "\"weight_block_size\": [\n   4,", "is to hold the scales of 'model.layers.0")]
    [InlineData("fp8-blocks", "\"fp8\"", "\"mxfp4\"", "does not have the model's tensors")]
    [InlineData("fp8-rows", "\"quant_method\": \"compressed-tensors\"", "\"quant_method\": \"fp8\"", "has no scales: there is no tensor 'model.layers.0")]
    public void Numbers_and_scales_that_do_not_belong_together_are_named(string name, string before, string after, string message)
    {
        foreach (var file in Directory.GetFiles(Fixture.Local($"quantized/{name}")))
            File.Copy(file, _folder.File(Path.GetFileName(file)), overwrite: true);
        var config = File.ReadAllText(_folder.File("config.json"));
        Assert.Contains(before, config, StringComparison.Ordinal);
        File.WriteAllText(_folder.File("config.json"), config.Replace(before, after, StringComparison.Ordinal));
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    private static Tensor Weight(string name, string parameter, bool asStored) =>
        ModelFolder.Load(Fixture.Local($"quantized/{name}"), asStored).Model.Parameters().Single(own => own.Name == parameter).Parameter.Value;
}
