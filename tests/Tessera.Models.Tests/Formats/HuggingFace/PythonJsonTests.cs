using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Verification;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.HuggingFace;

public sealed class PythonJsonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("\"time_step_limit\": [0.0, Infinity],")]
    [InlineData("\"time_step_limit\": [0.0, {\"__float__\": \"Infinity\"}],")]
    [InlineData("\"router_z\": NaN, \"floor\": -Infinity, \"says\": \"Infinity and \\\"NaN\",")]
    [InlineData("\"attention_bias\": null, \"rope_scaling\": null, \"layer_types\": [], \"hidden_size\": 48.0, \"num_attention_heads\": 4e0,")]
    public void A_configuration_that_Python_reads_gives_the_recorded_outputs(string keys)
    {
        foreach (var file in Directory.GetFiles(Fixture.Local("peft/base"))) File.Copy(file, _folder.File(Path.GetFileName(file)));
        var config = File.ReadAllLines(_folder.File("config.json"))
            .Where(line => !line.Contains(':', StringComparison.Ordinal) || !keys.Contains(line.Split(':')[0].Trim() + ":", StringComparison.Ordinal));
        File.WriteAllText(_folder.File("config.json"), "{" + keys + string.Join('\n', config).TrimStart()[1..]);
        File.WriteAllText(_folder.File("generation_config.json"), "{\"eos_token_id\": 2.0, \"max_time\": Infinity}");
        var result = ModelVerification.Run(_folder.Path);
        Assert.True(result.Passes(5e-5, 1e-4));
        Assert.Equal([2], ModelFolder.Load(_folder.Path).PromptFormat.StopTokens);
    }

    [Theory]
    [InlineData("Infinity", "Infinity")]
    [InlineData("-Infinity", "-Infinity")]
    [InlineData("NaN", "NaN")]
    [InlineData("{\"__float__\": \"NaN\"}", "NaN")]
    [InlineData("1e999", "Infinity")]
    [InlineData("\"NaN\"", "\"NaN\"")]
    public void A_number_that_is_used_must_be_finite(string written, string shown)
    {
        var config = HuggingFaceConfig.Parse($$"""{"rms_norm_eps": {{written}}}""", "config.json");
        var error = Assert.Throws<InvalidDataException>(() => config.Number("rms_norm_eps"));
        Assert.Equal($"config.json: rms_norm_eps is {shown}; allowed: a number", error.Message);
    }

    [Theory]
    [InlineData("2", 2)]
    [InlineData("2.0", 2)]
    [InlineData("20e-1", 2)]
    [InlineData("1e3", 1000)]
    public void A_whole_number_may_be_written_as_a_float(string written, int number) =>
        Assert.Equal(number, HuggingFaceConfig.Parse($$"""{"n": {{written}}}""", "c").Whole("n"));

    [Theory]
    [InlineData("2.5")]
    [InlineData("1e10")]
    [InlineData("NaN")]
    [InlineData("Infinity")]
    [InlineData("true")]
    public void What_is_no_whole_number_is_refused_as_it_is_written(string written)
    {
        var error = Assert.Throws<InvalidDataException>(() => HuggingFaceConfig.Parse($$"""{"n": {{written}}}""", "c").Whole("n"));
        Assert.Equal($"c: n is {written}; allowed: a whole number", error.Message);
    }

    [Fact]
    public void Errors_after_a_constant_are_shown_where_they_are()
    {
        var error = Assert.Throws<InvalidDataException>(() => HuggingFaceConfig.Parse("{\"a\": Infinity, \"b\": NaN, c}", "c"));
        Assert.StartsWith("c(1,27): is not valid JSON here: ", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => HuggingFaceConfig.Parse("{\"a\": \"NaN", "c"));
        Assert.Throws<InvalidDataException>(() => HuggingFaceConfig.Parse("{\"a\": NaNs}", "c"));
    }

    [Theory]
    [InlineData("null", false)]
    [InlineData("false", false)]
    [InlineData("\"\"", false)]
    [InlineData("[]", false)]
    [InlineData("{}", false)]
    [InlineData("true", true)]
    [InlineData("0", true)]
    [InlineData("[0]", true)]
    public void What_is_null_or_empty_says_nothing(string written, bool says) =>
        Assert.Equal(says, HuggingFaceConfig.Parse($$"""{"k": {{written}}}""", "c").Says("k"));
}
