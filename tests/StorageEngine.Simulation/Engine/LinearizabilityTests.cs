using Xunit;

namespace Nephos.StorageEngine.Simulation.Engine;

public sealed class LinearizabilityTests
{
    [Fact]
    public void A_read_of_what_was_written_before_is_explained() =>
        Assert.Null(Linearizability.Explain([Put(1, 1, 2), Read(1, 3, 4)]));

    [Fact]
    public void A_read_of_an_older_value_is_not_explained() =>
        Assert.NotNull(Linearizability.Explain([Put(1, 1, 2), Put(2, 3, 4), Read(1, 5, 6)]));

    [Fact]
    public void Overlapping_operations_may_take_effect_in_either_order()
    {
        Assert.Null(Linearizability.Explain([Put(1, 1, 5), Read(1, 2, 3), Read(1, 6, 7)]));
        Assert.NotNull(Linearizability.Explain([Put(1, 1, 9), Read(1, 2, 3), Read(0, 4, 5)]));
    }

    [Fact]
    public void A_write_without_an_answer_may_take_effect_late_or_never()
    {
        Assert.Null(Linearizability.Explain([Put(1, 1, null), Read(0, 2, 3), Read(1, 4, 5)]));
        Assert.Null(Linearizability.Explain([Put(1, 1, null), Read(0, 2, 3)]));
        Assert.NotNull(Linearizability.Explain([Put(1, 1, null), Read(1, 2, 3), Read(0, 4, 5)]));
    }

    [Fact]
    public void Of_two_creations_only_one_may_succeed()
    {
        Assert.NotNull(Linearizability.Explain([Put(1, 1, 4, requires: 0), Put(2, 2, 5, requires: 0)]));
        Assert.Null(Linearizability.Explain([Put(1, 1, 4, requires: 0), Put(2, 2, 5, requires: 0, OperationResult.ConditionFailed)]));
    }

    [Fact]
    public void A_delete_says_truly_whether_something_was_there()
    {
        Assert.Null(Linearizability.Explain([Put(1, 1, 2), Delete(true, 3, 4), Read(0, 5, 6), Delete(false, 7, 8)]));
        Assert.NotNull(Linearizability.Explain([Put(1, 1, 2), Delete(false, 3, 4)]));
    }

    private static Operation Put(int value, long from, long? to, int? requires = null, OperationResult result = OperationResult.Done) => new()
    {
        Key = "k",
        Kind = OperationKind.Put,
        Value = value,
        Requires = requires,
        Invoked = from,
        Answered = to ?? long.MaxValue,
        Result = to is null ? OperationResult.Unknown : result,
    };

    private static Operation Read(int value, long from, long to) => new()
    {
        Key = "k", Kind = OperationKind.Read, Value = value, Invoked = from, Answered = to, Result = OperationResult.Done,
    };

    private static Operation Delete(bool existed, long from, long to) => new()
    {
        Key = "k", Kind = OperationKind.Delete, Existed = existed, Invoked = from, Answered = to, Result = OperationResult.Done,
    };
}
