using Nephos.Client.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Groups;

/// <summary>Something to do inside a commit of a shard.</summary>
internal abstract class ShardOperation
{
    /// <summary>When it was asked for (a timestamp of the time provider).</summary>
    public required long QueuedAt { get; init; }

    /// <summary>Its turn has come; false when it was taken back.</summary>
    public abstract bool TryBegin();

    /// <summary>It waited too long; false when its turn has come already: then its outcome is not known.</summary>
    public abstract bool TryTakeBack();

    public abstract void Evaluate(RowTransaction rows);

    /// <summary>What was evaluated is decided.</summary>
    public abstract void Complete();

    public abstract void Fail(ObjectEngineException failure);
}

internal sealed class ShardOperation<T>(Func<RowTransaction, T> evaluate) : ShardOperation
{
    private readonly TaskCompletionSource<T> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _evaluated;
    private Exception? _fault;
    private int _begun;

    public Task<T> Task => _result.Task;

    public override bool TryBegin() => Interlocked.CompareExchange(ref _begun, 1, 0) == 0;

    public override bool TryTakeBack() => Interlocked.CompareExchange(ref _begun, 2, 0) == 0;

    public override void Evaluate(RowTransaction rows)
    {
        _fault = null;
        rows.Begin();
        try
        {
            _evaluated = evaluate(rows);
        }
        catch (ObjectEngineException fault)
        {
            rows.Undo();
            _fault = fault;
        }
        catch (InvalidDataException fault)
        {
            // A row that cannot be read concerns this operation, not the others in the batch.
            rows.Undo();
            _fault = new ObjectEngineException(EngineFailure.DataLoss, fault.Message, fault);
        }
    }

    public override void Complete()
    {
        if (_fault is not null)
        {
            _result.TrySetException(_fault);
        }
        else
        {
            _result.TrySetResult(_evaluated!);
        }
    }

    public override void Fail(ObjectEngineException failure) => _result.TrySetException(failure);
}
