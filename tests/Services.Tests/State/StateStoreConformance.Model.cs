using CsCheck;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

public abstract partial class StateStoreConformance
{
    private static readonly Gen<string> GenKey = Gen.OneOf(new[] { "a", "a/b", "a/\U0001F600", "a/\uFF5E", "b", "c" }.Select(key => Gen.Const(key)).ToArray());

    // Which revision a precondition expects: that of the key, none, one that never was.
    private enum Expectation
    {
        Current,
        Absent,
        Wrong,
    }

    private sealed record Step(
        (string Key, Expectation Expected)[] Preconditions, (string From, string To, bool Stale)[] Ranges, string[] Puts, string[] Deletes);

    private static readonly Gen<Step> GenStep = Gen.Select(
        Gen.Select(GenKey, Gen.Frequency((6, Gen.Const(Expectation.Current)), (1, Gen.Const(Expectation.Absent)), (1, Gen.Const(Expectation.Wrong))))
            .Array[0, 2],
        Gen.Select(GenKey, Gen.Bool, (key, stale) => (key, StateKeys.PrefixEnd(key), stale)).Array[0, 1],
        GenKey.HashSet[0, 3],
        GenKey.HashSet[0, 2],
        (preconditions, ranges, puts, deletes) => new Step(preconditions, ranges, [.. puts], [.. deletes.Except(puts)]));

    [StoreFact]
    public async Task Any_sequence_of_commits_does_what_the_model_does() => await GenStep.Array[1, 40].SampleAsync(RunModelAsync, iter: 30, threads: 1);

    private async Task RunModelAsync(Step[] steps)
    {
        await using var store = await OpenAsync(new StateHistoryOptions());
        var start = await store.GetRevisionAsync(None);
        var model = new SortedDictionary<string, (string Value, long Revision)>(StateKeys.Comparer);
        var history = new List<(long Revision, string Key, string? Value)>();
        var revision = start;
        for (var i = 0; i < steps.Length; i++)
        {
            var step = steps[i];
            var commit = new StateCommit
            {
                Preconditions = [.. step.Preconditions.Select(one => new StatePrecondition(one.Key, Expected(one.Key, one.Expected)))],
                RangePreconditions = [.. step.Ranges.Select(one => new StateRangePrecondition(one.From, one.To, one.Stale ? start : revision))],
                Puts = [.. step.Puts.Select(key => Put(key, $"{i}"))],
                Deletes = step.Deletes,
            };
            var failed = commit.RangePreconditions
                .Where(range => model.Any(entry => IsIn(entry.Key, range) && entry.Value.Revision > range.Revision))
                .Select(range => range.FromInclusive)
                .Concat(commit.Preconditions.Where(one => Revision(one.Key) != one.Revision).Select(one => one.Key))
                .FirstOrDefault();

            var result = await store.CommitAsync(commit, None);

            Assert.Equal(failed, result.FailedKey);
            Assert.Equal(failed is null, result.Succeeded);
            if (failed is null && (step.Puts.Length > 0 || step.Deletes.Any(model.ContainsKey)))
            {
                Assert.True(result.Revision > revision);
                revision = result.Revision;
                Apply(step, $"{i}");
            }

            Assert.Equal(revision, await store.GetRevisionAsync(None));
        }

        var all = await store.ScanAsync("", "", 100, None);
        Assert.Equal(model.Select(entry => (entry.Key, entry.Value.Value, entry.Value.Revision)), all.Entries.Select(entry => (entry.Key, Text(entry), entry.Revision)));
        var part = await store.ScanAsync("a/", StateKeys.PrefixEnd("a/"), 1, None);
        Assert.Equal(model.Keys.Where(key => key.StartsWith("a/", StringComparison.Ordinal)).Take(1), part.Entries.Select(entry => entry.Key));
        if (revision > start)
        {
            var told = await CollectAsync(store, "", start + 1, revision);
            Assert.Equal(
                history.Order(),
                told.SelectMany(batch => batch.Events.Select(one => (batch.Revision, one.Key, one.Entry is null ? null : Text(one.Entry)))).Order());
        }

        long Revision(string key) => model.TryGetValue(key, out var entry) ? entry.Revision : 0;

        long Expected(string key, Expectation expected) => expected switch
        {
            Expectation.Current => Revision(key),
            Expectation.Absent => 0,
            Expectation.Wrong => start + 1_000_000,
            _ => throw new ArgumentOutOfRangeException(nameof(expected)),
        };

        void Apply(Step step, string value)
        {
            foreach (var key in step.Puts)
            {
                model[key] = (value, revision);
                history.Add((revision, key, value));
            }

            foreach (var key in step.Deletes.Where(key => model.Remove(key)))
            {
                history.Add((revision, key, null));
            }
        }
    }

    private static bool IsIn(string key, StateRangePrecondition range) =>
        StateKeys.Comparer.Compare(key, range.FromInclusive) >= 0 && StateKeys.Comparer.Compare(key, range.ToExclusive) < 0;
}
