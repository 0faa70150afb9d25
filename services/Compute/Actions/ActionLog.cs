using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Actions;

/// <summary>Keeps what was asked of instances, written in the commits that carry the wishes.</summary>
internal sealed class ActionLog
{
    private const int MessageCharsMax = 255;
    private const int DetailsCharsMax = 4096;

    /// <summary>Starts an action.</summary>
    /// <returns>Its key, to be finished when its end is seen.</returns>
    public string Start(StateTransaction transaction, OperationContext operation, string instanceId, string projectId, string action, DateTimeOffset now)
    {
        var key = InstanceAction.KeyOf(instanceId, now, operation.RequestId);
        transaction.Put(InstanceAction.Table, new InstanceAction
        {
            Key = key,
            InstanceId = instanceId,
            Action = action,
            RequestId = operation.RequestId,
            UserId = operation.UserId,
            ProjectId = projectId,
            StartedAt = now,
            UpdatedAt = now,
            Events = [new ActionEvent(EventOf(action), now, null, null, null, null)],
        });
        return key;
    }

    /// <summary>Ends actions that are still open.</summary>
    /// <param name="error">Null: they succeeded.</param>
    public async Task FinishAsync(
        StateTransaction transaction, IReadOnlyList<string> keys, string? error, string? nodeName, DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var key in keys)
        {
            if (await transaction.GetAsync(InstanceAction.Table, key, cancellationToken) is { } action)
            {
                transaction.Put(InstanceAction.Table, action with
                {
                    UpdatedAt = now,
                    Message = error is null ? action.Message : Cut(error, MessageCharsMax),
                    Events =
                    [
                        .. action.Events.Select(item => item.FinishedAt is not null ? item : item with
                        {
                            FinishedAt = now,
                            Result = error is null ? "Success" : "Error",
                            Details = error is null ? null : Cut(error, DetailsCharsMax),
                            NodeName = nodeName,
                        }),
                    ],
                });
            }
        }
    }

    private static string EventOf(string action) => action switch
    {
        "create" => "compute__do_build_and_run_instance",
        "delete" => "compute_terminate_instance",
        "stop" or "start" or "pause" or "unpause" or "suspend" or "resume" or "reboot" or "rebuild" => $"compute_{action}_instance",
        _ => $"compute_{action}",
    };

    private static string Cut(string text, int chars) => text.Length <= chars ? text : text[..chars];
}
