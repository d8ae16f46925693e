namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class DamagedRunTests(TinyRun tiny)
{
    [Fact]
    public void A_flipped_byte_in_the_header_of_the_weights_is_found() => Complains(
            run => TinyRun.Flip(Path.Combine(run, "model.safetensors"), 20),
            "{run}/model.safetensors: does not have the model's tensors; missing: decoder.layers.0.attention.k_proj.weight; unexpected: decoder.la,ers.0.attention.k_proj.weight"
        );

    [Fact]
    public void Weights_that_were_cut_short_are_found() => Complains(
            run =>
                File.WriteAllBytes(
                    Path.Combine(run, "model.safetensors"), File.ReadAllBytes(Path.Combine(run, "model.safetensors"))[..30000]),
            "{run}/model.safetensors: the tensors end at byte 63040 after the header, but the file has 26880 bytes there");

    [Fact]
    public void Weights_of_another_shape_are_found() => Complains(
        run => Replace(Path.Combine(run, "config.json"), "\"width\": 16", "\"width\": 32"),
        "{run}/model.safetensors: tensor 'target_embed.weight' has the shape [300, 16], in the model [300, 32]");

    [Fact]
    public void A_changed_weight_is_found()
    {
        var run = tiny.CopyOfRun("flipped");
        TinyRun.Flip(Path.Combine(run, "model.safetensors"), -5);
        var outcome = tiny.Tessera("generate", "flipped", "alpha");
        Assert.Equal((2, ""), (outcome.Code, outcome.Output));
        Assert.StartsWith(
            $"tessera: {Path.Combine("flipped", "model.safetensors")}: has been changed: expected SHA-256 ", outcome.Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_of_other_files_is_left_alone()
    {
        Directory.CreateDirectory(tiny.In("letters"));
        File.WriteAllText(tiny.In("letters/dear.txt"), "aunt");
        var outcome = tiny.Tessera("train", "tiny.json", "--out", "letters");
        Assert.Equal(
            (2, "tessera: 'letters' holds other files than a run's, such as dear.txt; name another folder\n"),
            (outcome.Code, outcome.Error));
        Assert.Equal(["dear.txt"], Directory.GetFileSystemEntries(tiny.In("letters")).Select(Path.GetFileName));
    }

    [Fact]
    public void A_tokenizer_of_another_size_is_found() => Complains(
        run => Replace(Path.Combine(run, "config.json"), "\"vocabulary\": 300", "\"vocabulary\": 301"),
        "{run}/config.json: vocabulary is 301, but tokenizer.json has 300 tokens");

    [Fact]
    public void A_damaged_checkpoint_is_told_and_an_older_one_gone_on_from()
    {
        var run = tiny.CopyOfRun("damaged");
        var newest = Newest(run);
        TinyRun.Flip(Path.Combine(newest, "model.safetensors"), -5);
        var outcome = tiny.Tessera("train", "tiny.json", "--out", "damaged", "--resume");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.StartsWith(
            $"warning: a damaged checkpoint was passed over: {Path.Combine(newest, "model.safetensors")}", outcome.Lines[0],
            StringComparison.Ordinal);
        Assert.EndsWith("; resumed at step 3", outcome.Lines[1], StringComparison.Ordinal);
        // The same bits as in the run that nothing happened to.
        Assert.Equal(File.ReadAllBytes(tiny.In("run", "model.safetensors")), File.ReadAllBytes(Path.Combine(run, "model.safetensors")));
    }

    [Fact]
    public void A_run_whose_checkpoints_are_all_damaged_is_left_as_it_is()
    {
        var run = tiny.CopyOfRun("ruined");
        var weights = File.ReadAllBytes(Path.Combine(run, "model.safetensors"));
        foreach (var checkpoint in Directory.GetDirectories(Path.Combine(run, "checkpoints")))
            TinyRun.Flip(Path.Combine(checkpoint, "optimizer.safetensors"), -5);
        var outcome = tiny.Tessera("train", "tiny.json", "--out", "ruined", "--resume");
        Assert.Equal(2, outcome.Code);
        Assert.StartsWith($"tessera: {Path.Combine(Newest(run), "optimizer.safetensors")}", outcome.Error, StringComparison.Ordinal);
        Assert.EndsWith("; no other checkpoint of the run is whole, start a new run\n", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(run, "model.safetensors")));
    }

    [Fact]
    public void A_run_is_not_gone_on_with_by_another_recipe()
    {
        var outcome = tiny.Tessera("train", "tiny.json", "--out", "run", "--resume", "--set", "data.seed=5");
        Assert.Equal(2, outcome.Code);
        Assert.Equal(
            $"tessera: data.seed: differs from the run's own recipe, {Path.Combine("run", "recipe.json")}; resume with that, or begin a new run\n",
            outcome.Error);
    }

    private void Complains(Action<string> damage, string message)
    {
        var name = Guid.NewGuid().ToString("N");
        damage(tiny.CopyOfRun(name));
        var outcome = tiny.Tessera("generate", name, "alpha");
        Assert.StartsWith($"tessera: {message.Replace("{run}", name, StringComparison.Ordinal)}", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(outcome.Error.Length - 1, outcome.Error.IndexOf('\n', StringComparison.Ordinal));
        Assert.Equal((2, ""), (outcome.Code, outcome.Output));
    }

    private static string Newest(string run) => Directory.GetDirectories(Path.Combine(run, "checkpoints")).Max(StringComparer.Ordinal)!;

    private static void Replace(string path, string old, string replacement)
    {
        var text = File.ReadAllText(path);
        Assert.Contains(old, text, StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(old, replacement, StringComparison.Ordinal));
    }
}
