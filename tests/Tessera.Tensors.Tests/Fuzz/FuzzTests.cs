namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Operations on shapes it may trip over, against its equation in double precision. The same cases run again
/// between guard pages and at each level, see Levels.</summary>
public class FuzzTests
{
    public static TheoryData<string> Operations => [.. Fuzzed.Operations.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void An_operation_agrees_with_its_equation_on_shapes_about_every_tile_size(string operation)
    {
        for (var number = 0UL; number < 20; number++)
        {
            var one = Fuzzed.Case(operation, number);
            try
            {
                one.Run();
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"case {number}, {one.Name}: {error.Message}", error);
            }
        }
    }
}
